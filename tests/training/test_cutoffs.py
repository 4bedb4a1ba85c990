from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.training import RankingMetrics
from pyg_irllrec.training.cutoffs import as_cutoffs, fitting_cutoffs


def test_a_small_catalogue_has_fewer_cutoffs():
    assert fitting_cutoffs(100) == fitting_cutoffs(20) == (5, 10, 20)
    assert fitting_cutoffs(19) == (5, 10)
    assert fitting_cutoffs(3) == (3,)
    assert fitting_cutoffs(3, ks=(1, 2)) == (1, 2)
    with pytest.raises(
        ValueError, match="'num_items' must be an integer of at least 1"
    ):
        fitting_cutoffs(0)


@pytest.mark.parametrize(
    'ks', [[5, 1], range(5, 0, -4), np.array([5, 1]), torch.tensor([5, 1]), {1, 5}]
)
def test_cutoffs_in_any_container(ks):
    expected = (1, 5) if isinstance(ks, set) else (5, 1)
    assert as_cutoffs(ks) == fitting_cutoffs(9, ks) == expected
    names = {f'{metric}@{k}' for metric in ('recall', 'ndcg') for k in expected}
    assert set(RankingMetrics(ks)) == names


@pytest.mark.parametrize(
    'ks',
    [
        *(5, '5', {5: 1}, [], (5.0,), [True], [0], None, iter([5]), {'a', 1}),
        *(torch.tensor(5), torch.tensor([5.0]), np.array([[5]])),
    ],
)
def test_invalid_cutoffs(ks):
    for check in (as_cutoffs, RankingMetrics):
        with pytest.raises(ValueError, match="'ks' must"):
            check(ks)
