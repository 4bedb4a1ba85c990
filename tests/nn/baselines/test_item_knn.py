from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import ItemKNN
from tests.nn.baselines.data import EVERYONE, ITEMS, PAIRS, USERS, X


def by_hand(exponent, shrinkage, num_neighbors):
    count = X.sum(dim=0).clamp(min=1)
    similar = X.t() @ X / ((count.outer(count)) ** exponent + shrinkage)
    similar.fill_diagonal_(0)
    least = similar.topk(num_neighbors, dim=1).values[:, -1:]
    return X @ similar.where(similar >= least, 0.0)


@pytest.mark.parametrize(
    ('exponent', 'shrinkage', 'num_neighbors'),
    [(0.5, 0.0, 12), (0.3, 2.0, 12), (0.5, 0.5, 3)],
)
def test_sums_similarities(exponent, shrinkage, num_neighbors, monkeypatch):
    monkeypatch.setattr('pyg_irllrec.nn.baselines._closed_form._BLOCK', 5)
    options = {'exponent': exponent, 'shrinkage': shrinkage}
    model = ItemKNN(USERS, ITEMS, PAIRS, **options, num_neighbors=num_neighbors)
    expected = by_hand(exponent, shrinkage, num_neighbors)
    torch.testing.assert_close(model.score(EVERYONE), expected)
    assert model.score(EVERYONE[:0]).shape == (0, ITEMS)


def test_more_neighbors_than_items():
    model = ItemKNN(USERS, ITEMS, PAIRS, exponent=0.5)
    torch.testing.assert_close(model.score(EVERYONE), by_hand(0.5, 0.0, ITEMS))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'exponent': -1.0}, "'exponent' must be at least 0"),
        ({'shrinkage': -1.0}, "'shrinkage' must be at least 0"),
        ({'num_neighbors': 0}, "'num_neighbors' must be an integer of at least 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ItemKNN(USERS, ITEMS, PAIRS, **options)
