from __future__ import annotations

import warnings

import torch

from pyg_irllrec.utils.csr_matrix import _skip_warning, csr_matrix


def test_makes_a_first_matrix_without_the_warning_of_torch():
    """Torch warns once per process, so the test makes it warn of each matrix."""
    _skip_warning.cache_clear()
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter('always')
            rowptr, col = torch.tensor([0, 1, 1]), torch.tensor([1])
            matrix = csr_matrix(rowptr, col, torch.tensor([2.0]), (2, 2))
    finally:
        torch.set_warn_always(before)
    assert matrix.to_dense().tolist() == [[0, 2], [0, 0]]
    assert _skip_warning.cache_info().currsize == 1
    assert len(found) == 1  # That of the second matrix alone.
