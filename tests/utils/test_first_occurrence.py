from __future__ import annotations

import torch

from pyg_irllrec.utils.first_occurrence import first_occurrence


def test_first_occurrence_of_every_row():
    index = torch.tensor([[3, 1, 3, 1, 0], [2, 2, 2, 5, 2]])
    expected = torch.tensor([[1, 1, 0, 0, 1], [1, 0, 0, 1, 0]]).bool()
    assert torch.equal(first_occurrence(index), expected)
    assert torch.equal(first_occurrence(index[0]), expected[0])
    assert first_occurrence(index[0, :0]).shape == (0,)
