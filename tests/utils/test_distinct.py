from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils.distinct import distinct


@pytest.mark.parametrize('most', [4, 9])
@pytest.mark.parametrize(
    'index', [[5, 2, 5, 0, 9, 2], [3], [1, 1, 1], [0, 7, 0]], ids=str
)
def test_equals_unique_with_a_fixed_size(index, most):
    index = torch.tensor(index)
    value, place = index.unique(return_inverse=True)
    found = distinct(index, most)
    assert found.value.tolist() == value.tolist() + [0] * (most - value.numel())
    assert torch.equal(found.place, place)
    assert found.is_used.tolist() == [at < value.numel() for at in range(most)]


def test_more_are_an_error():
    with pytest.raises(RuntimeError, match='out of bounds'):
        distinct(torch.tensor([1, 2, 3]), 2)
