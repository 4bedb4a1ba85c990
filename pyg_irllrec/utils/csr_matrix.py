from __future__ import annotations

import warnings
from functools import partial

import torch

# No function, whose frame would cost time in every product.
csr_matrix = partial(torch.sparse_csr_tensor, check_invariants=False)
r"""Return a sparse CSR matrix of torch from its row pointers, columns, values and size,
without checks and without the warning that such matrices are in beta."""


def _skip_warning() -> None:
    r"""Make an empty matrix, because torch warns only of the first one in a process."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Sparse CSR tensor support')
        zero = torch.zeros(1, dtype=torch.long, device='cpu')
        csr_matrix(zero, zero[:0], zero[:0], (0, 0))


# On import: torch.compile would trace it in a call, and filters of warnings are global,
# so they must not change while other threads run.
_skip_warning()
