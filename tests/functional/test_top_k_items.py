from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import top_k_items


def test_best_items_first_without_excluded_items():
    user = torch.tensor([[1.0], [-1.0]])
    item = torch.tensor([[1.0], [2.0], [3.0]])
    assert top_k_items(user, item, 2).indices.tolist() == [[2, 1], [0, 1]]
    exclude = (torch.tensor([0, 1]), torch.tensor([2, 0]))
    top = top_k_items(user, item, 3, exclude)
    assert top.indices[:, :2].tolist() == [[1, 0], [1, 2]]
    assert top.values[:, 2].tolist() == [-torch.inf, -torch.inf]


@pytest.mark.parametrize('k', [0, 4, 2.5])
def test_k_beyond_the_catalogue(k):
    with pytest.raises(ValueError, match=f'number of items, 3, got {k}'):
        top_k_items(torch.ones(2, 1), torch.ones(3, 1), k)


def test_unequal_widths():
    with pytest.raises(ValueError, match="'item' must be as wide as 'user', 2, got 3"):
        top_k_items(torch.ones(2, 2), torch.ones(3, 3), 1)
