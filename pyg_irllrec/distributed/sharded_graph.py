from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed._row_exchange import RowExchange, send_rows
from pyg_irllrec.distributed._row_ranges import NodeRanges, check_mesh, node_ranges
from pyg_irllrec.utils.checks import check_count, check_index, check_matrix
from pyg_irllrec.utils.csr_matrix import csr_matrix


class ShardedGraph:
    r"""A user-item graph that is sharded by nodes: each rank owns a range of users, a
    range of items, and all edges into them. In every layer, a rank fetches the rows of
    neighbours that other ranks own, its halo.

    Args:
        interactions (torch.Tensor): This rank's part of the interactions, user and item
            ids, each from zero, of shape :math:`(2, E)`. The ranks may split the
            interactions in any way; repeated interactions count once.
        num_users (int): The number of users of all ranks.
        num_items (int): The number of items of all ranks.
        mesh (DeviceMesh): A one-dimensional mesh of the ranks.

    Attributes:
        num_nodes (int): The number :math:`n` of nodes that this rank owns.

    Raises:
        ValueError: If an argument has a wrong type or is out of range.

    Example:
        >>> import torch
        >>> import torch.distributed as dist
        >>> from torch.distributed.device_mesh import init_device_mesh
        >>> from pyg_irllrec.distributed import ShardedGraph
        >>> store = dist.HashStore()  # torchrun: init_process_group('gloo') suffices
        >>> dist.init_process_group('gloo', store=store, rank=0, world_size=1)
        >>> mesh = init_device_mesh('cpu', (1,))
        >>> graph = ShardedGraph(torch.tensor([[0, 1, 2], [0, 0, 1]]), 3, 2, mesh)
        >>> graph.propagate(torch.randn(graph.num_nodes, 8), num_layers=3).shape
        torch.Size([5, 8])
        >>> dist.destroy_process_group()
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
        # The rank numbers its own rows from zero, users first.
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
        r"""Return the sum over the layers of :class:`~pyg_irllrec.nn.LightGCN`,
        :math:`\sum_{l=0}^{L} (\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2})^l
        \mathbf{X}`. The matrix is symmetric, so the backward pass computes the same sum
        of the gradients and needs no saved layers. All ranks must call it together.

        Args:
            x (torch.Tensor): The rows of this rank's nodes, users first, of shape
                :math:`(n, d)`.
            num_layers (int): The number of layers :math:`L`.
            num_slices (int): The number of column slices in which the halo is fetched.
                More slices divide the memory of the halo and multiply the number of
                calls. (default: :obj:`1`)

        Returns:
            The sum for this rank's nodes, of shape :math:`(n, d)`.

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
        r"""Compute :meth:`propagate` without recording gradients."""
        total = x.clone()
        width = max(1, -(-x.size(1) // num_slices))
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
    r"""Send each edge to the owner of its target. Return the distinct edges into this
    rank's nodes, sorted: the target's row and the source's position."""
    num_positions = ranges.block * group.size()
    # 32-bit positions halve the traffic and the memory.
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
