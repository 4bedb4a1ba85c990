"""Fetch rows of a sharded matrix from the ranks that own them."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class RowExchange:
    r"""The plan by which ranks send each other rows of a sharded matrix. All ranks must
    construct it, and call each of its methods, together.

    Args:
        rows (torch.Tensor): The rows that this rank reads, in the owners' numbering,
            sorted by owner.
        counts (torch.Tensor): The number of these rows that each rank owns.
        group (ProcessGroup): The ranks.
    """

    def __init__(self, rows: Tensor, counts: Tensor, group: dist.ProcessGroup) -> None:
        self.group = group
        asked = torch.empty_like(counts)
        dist.all_to_all_single(asked, counts, group=group)
        self.recv_counts: list[int] = counts.tolist()
        self.send_counts: list[int] = asked.tolist()
        self.send_rows = send_rows(rows, self.recv_counts, self.send_counts, group)

    @property
    def num_rows(self) -> int:
        r"""The number of rows that this rank reads."""
        return sum(self.recv_counts)

    def receive(self, x: Tensor, out: Tensor) -> None:
        r"""Write the rows that this rank reads into :obj:`out`; :obj:`x` contains the
        rows that it owns."""
        sent = x.index_select(0, self.send_rows)
        counts = self.recv_counts, self.send_counts
        dist.all_to_all_single(out, sent, *counts, group=self.group)

    def fetch(self, x: Tensor) -> Tensor:
        r"""Return the rows that this rank reads. In the backward pass their gradients
        are sent to the owners."""
        out: Tensor = _Fetch.apply(x, self)  # type: ignore[no-untyped-call]
        return out

    def send_back(self, grad: Tensor, num_rows: int) -> Tensor:
        r"""Return, for each row that this rank owns, the sum of its gradients over all
        ranks that read it."""
        found = send_rows(grad, self.recv_counts, self.send_counts, self.group)
        total = grad.new_zeros(num_rows, grad.size(1))
        return total.index_add_(0, self.send_rows, found)


class RowLookup:
    r"""A lookup of rows by owner and by row number at that owner. The result keeps the
    order of the request."""

    def __init__(self, owner: Tensor, row: Tensor, group: dist.ProcessGroup) -> None:
        order = owner.argsort(stable=True)
        counts = torch.bincount(owner, minlength=group.size())
        self.exchange = RowExchange(row[order], counts, group)
        self.place = torch.empty_like(order)
        self.place[order] = torch.arange(len(order), device=order.device)

    def __call__(self, x: Tensor) -> Tensor:
        r"""Return the rows; :obj:`x` contains those that this rank owns."""
        return self.exchange.fetch(x).index_select(0, self.place)


class _Fetch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, exchange: RowExchange) -> Tensor:
        ctx.exchange, ctx.num_rows = exchange, x.size(0)
        out = x.new_empty(exchange.num_rows, x.size(1))
        exchange.receive(x, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.exchange.send_back(grad, ctx.num_rows), None


def send_rows(
    x: Tensor, send_counts: list[int], recv_counts: list[int], group: dist.ProcessGroup
) -> Tensor:
    r"""Send the first rows to the first rank, the next rows to the second rank, and so
    on, and return the received rows."""
    out = x.new_empty(sum(recv_counts), *x.shape[1:])
    dist.all_to_all_single(out, x.contiguous(), recv_counts, send_counts, group=group)
    return out


def gather_sizes(
    size: int, device: torch.device, group: dist.ProcessGroup
) -> list[int]:
    r"""Gather one number from each rank."""
    own = torch.tensor([size], device=device)
    sizes = [torch.empty_like(own) for _ in range(group.size())]
    dist.all_gather(sizes, own, group=group)
    return torch.cat(sizes).tolist()
