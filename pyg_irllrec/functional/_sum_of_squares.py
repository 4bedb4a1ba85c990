from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sum_of_squares(tensors: Sequence[Tensor]) -> Tensor:
    r"""The sum of the squares of all values, in a few kernels however many tensors
    there are."""
    if not tensors:
        return torch.zeros(())
    total: Tensor = _SumOfSquares.apply(*tensors)  # type: ignore[no-untyped-call]
    return total


class _SumOfSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return torch.stack(torch._foreach_norm(tensors)).square().sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled():  # A list times a tensor has no second derivative.
            return tuple(2 * grad * value for value in ctx.saved_tensors)
        return tuple(torch._foreach_mul(ctx.saved_tensors, 2 * grad))
