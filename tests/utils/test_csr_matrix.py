from __future__ import annotations

import importlib
import warnings
from unittest import mock

import torch

from pyg_irllrec.utils import csr_matrix as module
from pyg_irllrec.utils.csr_matrix import csr_matrix


def test_a_matrix_with_the_given_values():
    rowptr, col = torch.tensor([0, 1, 1]), torch.tensor([1])
    matrix = csr_matrix(rowptr, col, torch.tensor([2.0]), (2, 2))
    assert matrix.to_dense().tolist() == [[0, 2], [0, 0]]


def test_the_import_makes_the_first_matrix_without_the_warning_of_torch():
    """Torch warns once per process, so the test makes it warn of each matrix."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    make = mock.Mock(wraps=torch.sparse_csr_tensor)
    try:
        with warnings.catch_warnings(), mock.patch('torch.sparse_csr_tensor', make):
            warnings.simplefilter('error')
            importlib.reload(module)
    finally:
        torch.set_warn_always(before)
        importlib.reload(module)
    assert make.call_count == 1


def test_compiles_without_a_warning():
    def product(value, x):
        return csr_matrix(torch.tensor([0, 1]), torch.tensor([0]), value, (1, 1)) @ x

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        compiled = torch.compile(product, backend='eager')
        out = compiled(torch.tensor([2.0]), torch.tensor([[3.0]]))
    assert out.tolist() == [[6]]
