from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed._row_exchange import RowExchange, send_rows
from pyg_irllrec.distributed._row_ranges import NodeRanges, check_mesh, node_ranges
from pyg_irllrec.functional._kernels.intent_propagate_csr import csr_matrix
from pyg_irllrec.utils.checks import check_count, check_index, check_matrix


class ShardedGraph:
    r"""The user-item graph, of which each rank holds a range of users, one of items,
    and all edges into them. Rows of neighbours that lie with other ranks, the halo, are
    fetched from their owners in every layer.

    Args:
        interactions (torch.Tensor): Any part of the interactions, user and item ids,
            both from zero, of shape :math:`(2, E)`: all ranks together give all of
            them, in any order. Repeats count once.
        num_users (int): The number of users of all ranks.
        num_items (int): The number of items of all ranks.
        mesh (DeviceMesh): The ranks, in one dimension.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, interactions: Tensor, num_users: int, num_items: int, mesh: DeviceMesh
    ) -> None:
        check_mesh(mesh)
        group = mesh.get_group()
        self.mesh = mesh
        self.ranges = node_ranges(num_users, num_items, group.size())
        _check_interactions(interactions, num_users, num_items)
        row, source = _route(interactions, self.ranges, group)
        # A row of this rank, users first, and how many there are.
        self.num_nodes = self.ranges.count(group.rank())
        degree = torch.bincount(row, minlength=self.num_nodes)
        self.rowptr = torch.nn.functional.pad(degree.cumsum(0), (1, 0)).to(source.dtype)
        del row
        self.scale = degree.clamp(min=1).rsqrt().unsqueeze(1)

        block = self.ranges.block
        is_own = source // block == group.rank()
        halo = source[~is_own].unique()
        place = torch.searchsorted(halo, source, out_int32=source.dtype == torch.int32)
        self.col = torch.where(is_own, source % block, place + self.num_nodes)
        counts = torch.bincount(halo // block, minlength=group.size())
        self.halo = RowExchange(halo % block, counts, group)
        self.value = torch.ones_like(self.col, dtype=torch.float)

    def propagate(self, x: Tensor, num_layers: int, *, num_slices: int = 1) -> Tensor:
        r"""The sum over layers of :class:`~pyg_irllrec.nn.LightGCN`,
        :math:`\sum_{l=0}^{L} (\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2})^l
        \mathbf{X}`. The matrix is its own transpose: backward is the same sum of the
        gradients, and keeps nothing. All ranks call it together.

        Args:
            x (torch.Tensor): The rows of this rank, users first, of shape
                :math:`(n, d)`.
            num_layers (int): The number of layers :math:`L`.
            num_slices (int): In how many slices of columns the halo comes, one after
                another: it takes that much less memory, and that many more calls.
                (default: :obj:`1`)

        Raises:
            ValueError: If an argument is out of range.
        """
        check_matrix('x', x, may_be_empty=True)
        if x.size(0) != self.num_nodes:
            raise ValueError(
                f"'x' must have a row per node of this rank, {self.num_nodes}, got "
                f'{x.size(0)}'
            )
        check_count('num_layers', num_layers)
        check_count('num_slices', num_slices)
        out: Tensor = _SumLayers.apply(  # type: ignore[no-untyped-call]
            x, self, num_layers, num_slices
        )
        return out

    def sum_layers(self, x: Tensor, num_layers: int, num_slices: int) -> Tensor:
        r"""The same without a gradient."""
        total = x.clone()
        width = -(-x.size(1) // num_slices)
        for start in range(0, x.size(1), width):
            columns = slice(start, start + width)
            layer = x[:, columns]
            for _ in range(num_layers):
                layer = self._next_layer(layer)
                total[:, columns] += layer
        return total

    def _next_layer(self, x: Tensor) -> Tensor:
        num_columns = self.num_nodes + self.halo.num_rows
        rows = x.new_empty(num_columns, x.size(1))
        own = torch.mul(x, self.scale, out=rows[: self.num_nodes])
        self.halo.receive(own, rows[self.num_nodes :])
        if self.col.numel() == 0:
            return torch.zeros_like(own)
        size = self.num_nodes, num_columns
        value = self.value.to(x.dtype)
        return (csr_matrix(self.rowptr, self.col, value, size) @ rows).mul_(self.scale)


class _SumLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, graph: ShardedGraph, num_layers: int, num_slices: int
    ) -> Tensor:
        ctx.graph, ctx.sizes = graph, (num_layers, num_slices)
        return graph.sum_layers(x, num_layers, num_slices)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.graph.sum_layers(grad, *ctx.sizes), None, None, None


def _check_interactions(interactions: Tensor, num_users: int, num_items: int) -> None:
    if not isinstance(interactions, Tensor) or interactions.shape[:1] != (2,):
        got = getattr(interactions, 'shape', type(interactions).__name__)
        raise ValueError(f"'interactions' must be of shape (2, E), got {got}")
    sizes = {'interactions[0]': num_users, 'interactions[1]': num_items}
    for ids, (name, size) in zip(interactions, sizes.items()):
        check_index(name, ids, size, may_be_empty=True)


def _route(
    interactions: Tensor, ranges: NodeRanges, group: dist.ProcessGroup
) -> tuple[Tensor, Tensor]:
    r"""The edges into this rank's nodes, once each: the row of the target, and the
    position of the source, sorted."""
    num_positions = ranges.block * group.size()
    # Halves what is sent and held.
    dtype = torch.int32 if num_positions < 2**31 else torch.int64
    user = ranges.user_position(interactions[0]).to(dtype)
    item = ranges.item_position(interactions[1]).to(dtype)
    target, source = torch.cat([user, item]), torch.cat([item, user])
    del user, item
    owner = target // ranges.block
    counts = torch.bincount(owner, minlength=group.size())
    order = owner.argsort()
    edges = torch.stack([target % ranges.block, source], dim=1)[order]
    del target, source, owner, order
    arriving = torch.empty_like(counts)
    dist.all_to_all_single(arriving, counts, group=group)
    edges = send_rows(edges, counts.tolist(), arriving.tolist(), group)
    edge = edges[:, 0].long().mul_(num_positions).add_(edges[:, 1])
    del edges
    edge = edge.unique()
    return edge // num_positions, (edge % num_positions).to(dtype)
