from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.csr_matrix import csr_matrix


def forward(
    x: Tensor, h: Tensor, rowptr: Tensor, col: Tensor, weight: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The mean :math:`\mathbf{s}` and, for the backward pass, the unnormalised weight
    of every edge, :math:`w_{ji} \alpha_{ij}`, and the sum of these weights per target.
    Cosines are computed for edges only (SDDMM), and the mean is a sparse product
    (SpMM)."""
    alpha = on_edges(h, h, rowptr, col, h.new_full(col.shape, 0.5), 0.5)
    alpha.clamp_(min=0)  # Opposite intents can round below 0.
    if weight is not None:
        alpha = alpha * weight
    num_nodes = x.size(0)
    weighted = csr_matrix(rowptr, col, alpha, (num_nodes, num_nodes))
    total = (weighted @ x.new_ones(num_nodes, 1)).squeeze(1)
    out = (weighted @ x).div_(total.where(total != 0, 1).unsqueeze(1))
    return out, alpha, total


def backward(
    grad_out: Tensor,
    x: Tensor,
    h: Tensor,
    out: Tensor,
    alpha: Tensor,
    total: Tensor,
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
    weight: Optional[Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The gradients with respect to features, unit intents and edge weights (empty
    without weights). The gradient of an unnormalised weight is
    :math:`\mathbf{g}_i^{\top} (\mathbf{x}_j - \mathbf{s}_i)`, where
    :math:`\mathbf{g}_i` is the upstream gradient divided by the sum of weights of the
    target. All others are products with the sparse matrix or its transpose."""
    size = (x.size(0), x.size(0))
    grad = grad_out / total.where(total != 0, 1).unsqueeze(1)
    grad_x = csr_matrix(t_rowptr, t_col, alpha[t_perm], size) @ grad

    # An additional column of the product subtracts the second term.
    below = (grad * out).sum(dim=1, keepdim=True).neg_()
    grad_alpha = on_edges(
        torch.cat([grad, below], dim=1),
        torch.cat([x, x.new_ones(x.size(0), 1)], dim=1),
        rowptr,
        col,
    )
    grad_weight = x.new_empty(0)
    if weight is not None:
        alpha = on_edges(h, h, rowptr, col, h.new_full(col.shape, 0.5), 0.5)
        alpha.clamp_(min=0)
        grad_weight = grad_alpha * alpha
        grad_alpha = grad_alpha * weight
    grad_cosine = grad_alpha.masked_fill_(alpha <= 0, 0).div_(2)
    grad_h = csr_matrix(rowptr, col, grad_cosine, size) @ h
    grad_h += csr_matrix(t_rowptr, t_col, grad_cosine[t_perm], size) @ h
    return grad_x, grad_h, grad_weight


def backward_symmetric(
    grad_out: Tensor,
    x: Tensor,
    h: Tensor,
    out: Tensor,
    alpha: Tensor,
    total: Tensor,
    rowptr: Tensor,
    col: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The same for an undirected graph without edge weights. The matrix of
    :math:`\alpha` and the sum of its gradient over both directions are symmetric, so
    that no permutation is needed."""
    size = (x.size(0), x.size(0))
    grad = grad_out / total.where(total != 0, 1).unsqueeze(1)
    grad_x = csr_matrix(rowptr, col, alpha, size) @ grad
    below = (grad * out).sum(dim=1, keepdim=True).neg_()
    one = x.new_ones(x.size(0), 1)
    there = torch.cat([grad, x, below, one], dim=1)
    back = torch.cat([x, grad, one, below], dim=1)
    both_ways = on_edges(there, back, rowptr, col)
    both_ways.masked_fill_(alpha <= 0, 0)
    grad_h = csr_matrix(rowptr, col, both_ways, size) @ h
    return grad_x, grad_h.div_(2), x.new_empty(0)


def on_edges(
    target: Tensor,
    source: Tensor,
    rowptr: Tensor,
    col: Tensor,
    plus: Optional[Tensor] = None,
    times: float = 1.0,
) -> Tensor:
    r"""The inner product of the two ends of every edge, times a factor, plus a
    value."""
    if plus is None:
        plus = target.new_zeros(col.shape)
    if plus.numel() == 0:
        return plus
    if plus.numel() > target.size(0) * source.size(0):
        # torch rejects more edges than pairs of nodes. The dense matrix is small then.
        every = torch.mm(target, source.t())
        row = torch.repeat_interleave(rowptr.diff())
        return plus + every[row, col] * times
    pattern = csr_matrix(rowptr, col, plus, (target.size(0), source.size(0)))
    product = torch.sparse.sampled_addmm(pattern, target, source.t(), alpha=times)
    out: Tensor = product.values()
    return out
