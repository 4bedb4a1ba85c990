from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from pyg_irllrec.cli.split_options import WITHOUT_COLD_ADVICE, SplitOptions
from pyg_irllrec.typing import RATES


def graph():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 12
    data[RATES].edge_index = torch.tensor(
        [[0] * 12 + [1] * 10, [*range(12), *range(10)]]
    )
    data[RATES].rating = torch.tensor([5.0] * 20 + [1.0] * 2)
    data[RATES].time = torch.arange(22)
    return data


def test_only_liked_interactions_count():
    kept = Compose(SplitOptions(min_rating=4.0).filters())(graph())
    assert kept[RATES].edge_index.size(1) == 20
    assert kept['user'].num_nodes == 2  # The third user has no interactions.
    assert Compose(SplitOptions().filters())(graph())[RATES].edge_index.size(1) == 22


def test_the_newest_interactions_are_held_out():
    options = SplitOptions(split='time', val=0.2, test=0.3)
    rates = options.hold_out()(graph())[RATES]
    counts = [rates.val_edge_label_index.size(1), rates.test_edge_label_index.size(1)]
    assert counts[0] < counts[1] < rates.edge_index.size(1)
    for user in (0, 1):
        test, train = (
            edges[1][edges[0] == user]
            for edges in (rates.test_edge_label_index, rates.edge_index)
        )
        assert test.min() > train.max()  # Items are numbered by time.


def test_the_seed_selects_the_split():
    one, same, other = (
        SplitOptions(seed=seed).hold_out()(graph())[RATES].edge_index
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_the_advice_on_cold_items_is_that_of_the_transform():
    with pytest.warns(UserWarning) as warned:
        SplitOptions(split='time', val=0.2, test=0.3).hold_out()(graph())
    (advice,) = WITHOUT_COLD_ADVICE
    assert advice in str(warned[0].message)


def test_unknown_options_are_rejected():
    with pytest.raises(ValidationError, match='least'):
        SplitOptions(least=3)
