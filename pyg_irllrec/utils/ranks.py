from __future__ import annotations

from typing import Any, Optional

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def _collective(name: str, former: str) -> Any:
    r"""A collective operation by its name since torch 2.13 or its former name, or
    :obj:`None` if torch was built without :mod:`torch.distributed`."""
    return getattr(dist, name, None) or getattr(dist, former, None)


_all_gather = _collective('all_gather_single', 'all_gather_into_tensor')
_reduce_scatter = _collective('reduce_scatter_single', 'reduce_scatter_tensor')


class Ranks:
    r"""The processes of a group, and the way they divide up rows: in blocks of
    :math:`\lceil n / R \rceil` rows, so that the last ranks may have fewer rows or
    none. All ranks must call a method together.

    All parts of a loss follow one rule: *the mean of a term over the ranks is the
    term*. A term that every rank computes in full satisfies it. If each rank computes
    only its own rows, it multiplies their sum by the number of ranks. The mean of the
    gradients that :class:`~torch.nn.parallel.DistributedDataParallel` computes is then
    the gradient of a single process.

    Args:
        group (ProcessGroup, optional): The processes.
            (default: :obj:`None`, all processes)
    """

    def __init__(self, group: Optional[dist.ProcessGroup] = None) -> None:
        self.group = group
        self.rank = dist.get_rank(group)
        self.size = dist.get_world_size(group)

    def rows(self, num_rows: int) -> slice:
        r"""The rows of this rank."""
        block = -(-num_rows // self.size)
        first = min(self.rank * block, num_rows)
        return slice(first, min(first + block, num_rows))

    def gather(self, own: Tensor, num_rows: int) -> Tensor:
        r"""The rows of all ranks in order. The gradient of a row is summed over
        ranks."""
        out: Tensor = _Gather.apply(own, num_rows, self)  # type: ignore[no-untyped-call]
        return out

    def sum(self, x: Tensor) -> Tensor:
        r"""The sum over ranks. Its gradient is summed over ranks too."""
        out: Tensor = _Sum.apply(x, self)  # type: ignore[no-untyped-call]
        return out

    def add(self, x: Tensor) -> None:
        r"""Replace a tensor by its sum over ranks in place, without gradients."""
        dist.all_reduce(x, group=self.group)

    def send(self, x: Tensor) -> None:
        r"""Copy the values of the first rank to all others, in place."""
        first = 0 if self.group is None else dist.get_global_rank(self.group, 0)
        dist.broadcast(x, first, group=self.group)

    def agree(self, values: Tensor) -> bool:
        r"""Whether all ranks have the same values, in a tensor of the same shape."""
        both = torch.stack([values, -values])
        dist.all_reduce(both, dist.ReduceOp.MAX, group=self.group)
        return bool((both[0] == -both[1]).all())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, num_rows: int, ranks: Ranks) -> Tensor:
        ctx.ranks, ctx.shape, ctx.dtype = ranks, own.shape, own.dtype
        block = -(-num_rows // ranks.size)
        padded = own.new_zeros(block, *own.shape[1:])
        padded[: own.size(0)] = own
        out = own.new_empty(block * ranks.size, *own.shape[1:])
        _all_gather(out, padded, group=ranks.group)
        return out[:num_rows]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        ranks: Ranks = ctx.ranks
        block = -(-grad.size(0) // ranks.size)
        # A sum in half precision would lose digits.
        wide = torch.promote_types(ctx.dtype, torch.float32)
        padded = grad.new_zeros(block * ranks.size, *grad.shape[1:], dtype=wide)
        padded[: grad.size(0)] = grad
        own = padded.new_empty(block, *grad.shape[1:])
        _reduce_scatter(own, padded, group=ranks.group)
        return own[: ctx.shape[0]].to(ctx.dtype), None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        out = x.clone()
        ranks.add(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.clone()
        ctx.ranks.add(grad)
        return grad, None
