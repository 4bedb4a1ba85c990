from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule, TripletLoader
from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.check_seed import check_seed


def test_what_every_generator_takes():
    for seed in (0, 2**63 - 1, np.int64(3)):
        check_seed(seed)
        torch.Generator().manual_seed(int(seed))
    for seed in (-1, 2**63, 0.5, '1', None, True):
        with pytest.raises(ValueError, match="'seed' must be an integer from 0 to 2"):
            check_seed(seed)


@pytest.mark.parametrize(
    'build',
    [
        lambda seed: InteractionDataModule(SyntheticIntents(9, 8)[0], seed=seed),
        lambda seed: TripletLoader(
            UserItems(torch.tensor([[0], [0]]), 1, 2), seed=seed
        ),
        lambda seed: SplitInteractions(seed=seed),
    ],
)
def test_who_takes_a_seed(build):
    build(1)
    with pytest.raises(ValueError, match=r"'seed' must be an integer .*, got -1"):
        build(-1)
