from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.intent_propagate_csr import on_edges
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.utils.csr_matrix import csr_matrix


@torch.library.custom_op('pyg_irllrec::propagate', mutates_args=())
def propagate_csr(
    x: Tensor,
    weight: Optional[Tensor],
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
) -> Tensor:
    r"""The product of a sparse matrix with :obj:`x`, in :math:`O(|\mathcal{E}| +
    |\mathcal{V}| F)` memory, differentiable in both."""
    values = x.new_ones(col.shape) if weight is None else weight
    out: Tensor = csr_matrix(rowptr, col, values, (x.size(0), x.size(0))) @ x
    return out


@propagate_csr.register_fake
def _(x, weight, rowptr, col, t_rowptr, t_col, t_perm):  # type: ignore[no-untyped-def]
    return torch.empty_like(x)


@torch.library.custom_op('pyg_irllrec::on_edges', mutates_args=())
def _on_edges(target: Tensor, source: Tensor, rowptr: Tensor, col: Tensor) -> Tensor:
    return on_edges(target, source, rowptr, col)


@_on_edges.register_fake
def _(target, source, rowptr, col):  # type: ignore[no-untyped-def]
    return target.new_empty(col.shape)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad_out: Tensor) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("propagate with impl='csr'")
    x, weight, rowptr, col, t_rowptr, t_col, t_perm = ctx.saved_tensors
    grad_out = grad_out.contiguous()
    needs_x, needs_weight = ctx.needs_input_grad[:2]
    grad_x = grad_weight = None
    with torch.autocast(grad_out.device.type, enabled=False):
        if needs_x:
            # The transpose of the transposed graph is this graph. t_perm is not used.
            t_weight = None if weight is None else weight[t_perm]
            grad_x = propagate_csr(
                grad_out, t_weight, t_rowptr, t_col, rowptr, col, t_perm
            )
        if needs_weight:
            grad_weight = _on_edges(grad_out, x, rowptr, col)
    return grad_x, grad_weight, *(None,) * 5


propagate_csr.register_autograd(_backward, setup_context=_setup)
