from __future__ import annotations

import torch
from torch import Tensor


def invert(matrix: Tensor) -> Tensor:
    r"""Invert a symmetric positive definite matrix in place."""
    torch.cholesky_inverse(_factorise(matrix), out=matrix)
    return matrix


def invert_by_users(x: Tensor, ridge: float) -> Tensor:
    r"""Return :math:`(\mathbf{X}^{\top} \mathbf{X} + \lambda)^{-1}` for interactions
    with fewer users than items, from the Cholesky factor :math:`\mathbf{L}
    \mathbf{L}^{\top} = \mathbf{X} \mathbf{X}^{\top} + \lambda` of size users x
    users."""
    shared = x @ x.t()
    if ridge < torch.finfo(x.dtype).eps * float(shared.diagonal().max()):
        raise _not_invertible()  # Rounding would remove the ridge.
    shared.diagonal().add_(ridge)
    half = torch.linalg.solve_triangular(_factorise(shared), x, upper=False)
    inverse: Tensor = (half.t() @ half).div_(-ridge)
    inverse.diagonal().add_(1 / ridge)
    return inverse


def text_model(text: Tensor, l2_weight: float) -> tuple[Tensor, Tensor]:
    r"""Return the matrix :math:`\mathbf{Q}` and the diagonal :math:`\mathbf{d}` such
    that :math:`\mathbf{1} - \mathbf{S} = (\mathbf{1} - \mathbf{Q} \mathbf{T}^{\top}) /
    \mathbf{d}`, where :math:`\mathbf{S}` is the model of texts. For texts with few
    columns, it needs only an inverse of low rank, :math:`(\mathbf{T} \mathbf{T}^{\top}
    + \rho)^{-1} = (1 - \mathbf{Q} \mathbf{T}^{\top}) / \rho`."""
    small = text.t() @ text
    small.diagonal().add_(l2_weight)
    mixed = torch.linalg.solve(small, text.t()).t()
    return mixed, 1 - (mixed * text).sum(dim=1)


def _factorise(matrix: Tensor) -> Tensor:
    result = torch.linalg.cholesky_ex(matrix)
    if int(result.info) != 0:
        raise _not_invertible()
    factor: Tensor = result.L
    return factor


def _not_invertible() -> ValueError:
    return ValueError(
        "'l2_weight' must be larger for these interactions: the matrix of "
        'co-occurrences cannot be inverted'
    )
