from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sum_of_squares(tensors: Sequence[Tensor]) -> Tensor:
    r"""The sum of the squares of all values of one or more tensors, in a few kernels
    regardless of the number of tensors."""
    total: Tensor = _SumOfSquares.apply(*tensors)  # type: ignore[no-untyped-call]
    return total


class _SumOfSquares(torch.autograd.Function):
    @staticmethod
    def forward(*tensors: Tensor) -> Tensor:
        return torch.stack(torch._foreach_norm(tensors)).square().sum()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        if torch.is_grad_enabled():  # _foreach_mul() has no second derivative.
            return tuple(2 * grad * value for value in ctx.saved_tensors)
        return tuple(torch._foreach_mul(ctx.saved_tensors, 2 * grad))
