from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels import intent_propagate_csr as csr_products
from pyg_irllrec.functional._kernels import intent_propagate_triton as fused_kernels
from pyg_irllrec.functional._kernels._load_triton import can_run_triton
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional._unit import unit, unit_backward


@torch.library.custom_op('pyg_irllrec::intent_propagate', mutates_args=())
def intent_propagate_fused(
    x: Tensor,
    intent: Tensor,
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
    weight: Optional[Tensor],
    impl: str,
    symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""Sparse products forward and backward, in :math:`O(|\mathcal{E}| +
    |\mathcal{V}| d)` memory.

    Returns:
        The mean and, for the backward pass, the unit intents, the inverse norms that
        they were multiplied by, the unnormalised weights (empty if kernels recompute
        them) and the sums of the weights.
    """
    if _is_fused(impl, x, intent):
        return fused_kernels.forward(x, intent, rowptr, col, weight)
    h, inverse = unit(intent)
    out, alpha, total = csr_products.forward(x, h, rowptr, col, weight)
    return out, h, inverse, alpha, total


def _is_fused(impl: str, x: Tensor, intent: Tensor) -> bool:
    if impl != 'auto':
        return impl == 'triton'
    widest = max(x.size(1), intent.size(1))
    return widest <= fused_kernels.MAX_DIM and can_run_triton(x)


@intent_propagate_fused.register_fake
def _(x, intent, rowptr, col, t_rowptr, t_col, t_perm, weight, impl, symmetric):  # type: ignore[no-untyped-def]
    num_nodes = x.size(0)
    num_alphas = 0 if _is_fused(impl, x, intent) else col.size(0)
    sizes = (num_nodes, 1), (num_alphas,), (num_nodes,)
    rest = [x.new_empty(size) for size in sizes]
    return torch.empty_like(x), torch.empty_like(intent), *rest


@torch.library.custom_op('pyg_irllrec::intent_propagate_backward', mutates_args=())
def _propagate_backward(
    grad_out: Tensor,
    x: Tensor,
    out: Tensor,
    h: Tensor,
    inverse: Tensor,
    alpha: Tensor,
    total: Tensor,
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
    weight: Optional[Tensor],
    impl: str,
    symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    grad_out = grad_out.contiguous()
    graph = rowptr, col, t_rowptr, t_col, t_perm
    if _is_fused(impl, x, h):
        return fused_kernels.backward(
            grad_out, x, h, inverse, out, total, *graph, weight, symmetric
        )
    saved = grad_out, x, h, out, alpha, total
    if symmetric:
        grads = csr_products.backward_symmetric(*saved, rowptr, col)
    else:
        grads = csr_products.backward(*saved, *graph, weight)
    unit_backward(grads[1], h, inverse)
    return grads


@_propagate_backward.register_fake
def _(grad_out, x, out, h, inverse, alpha, total, *rest):  # type: ignore[no-untyped-def]
    weight = rest[5]
    grad_weight = x.new_empty(0) if weight is None else torch.empty_like(weight)
    return torch.empty_like(x), torch.empty_like(h), grad_weight


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    x, _, *graph, weight, impl, symmetric = inputs
    ctx.save_for_backward(x, *output, *graph, weight)
    ctx.options = impl, symmetric


def _backward(ctx: Any, grad_out: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order(f'impl={ctx.options[0]!r}')
    if grad_out is None:
        return (None,) * 10
    with torch.autocast(grad_out.device.type, enabled=False):
        grad_x, grad_h, grad_weight = _propagate_backward(
            grad_out, *ctx.saved_tensors, *ctx.options
        )
    has_weight = ctx.saved_tensors[-1] is not None
    grad_weight = grad_weight if has_weight else None
    return grad_x, grad_h, *(None,) * 5, grad_weight, None, None


intent_propagate_fused.register_autograd(_backward, setup_context=_setup)
