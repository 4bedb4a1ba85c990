from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed import ShardedGraph
from pyg_irllrec.functional import propagate
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm
from tests.distributed.ranks import Ranks, own_share
from tests.distributed.shards import ITEMS, USERS, draw_pairs, own_nodes, whole


def layers(mesh: DeviceMesh, pairs: Tensor, num_slices: int) -> list[Tensor]:
    graph = ShardedGraph(own_share(mesh, pairs, 1), USERS, ITEMS, mesh)
    x, upstream = (own_nodes(graph, rows) for rows in inputs())
    x.requires_grad_()
    out = graph.propagate(x, 2, num_slices=num_slices)
    out.backward(upstream)
    return [out.detach(), x.grad]


def inputs() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, USERS + ITEMS, 5, generator=generator)


@pytest.mark.parametrize('num_slices', [1, 3])
@pytest.mark.parametrize('num_ranks', [1, 2, 3, 4])
def test_it_is_one_graph(ranks: Ranks, num_ranks: int, num_slices: int) -> None:
    pairs = draw_pairs()
    x, upstream = inputs()
    x.requires_grad_()
    adj = bipartite_edge_index(pairs, USERS, ITEMS)
    weight = symmetric_norm(adj, USERS + ITEMS)
    first = propagate(x, adj, weight)
    expected = x + first + propagate(first, adj, weight)
    expected.backward(upstream)
    found = ranks(num_ranks, layers, pairs, num_slices)
    torch.testing.assert_close(whole([out for out, _ in found]), expected.detach())
    torch.testing.assert_close(whole([grad for _, grad in found]), x.grad)


def test_ranks_without_nodes_or_edges(ranks: Ranks) -> None:
    pairs = torch.tensor([[0], [0]])
    found = ranks(4, layers, pairs, 1)
    expected = inputs()[0]
    # Both ends have one edge: two layers swap their rows, and swap them back.
    expected[0], expected[USERS] = (
        2 * expected[0] + expected[USERS],
        (2 * expected[USERS] + expected[0]),
    )
    torch.testing.assert_close(whole([out for out, _ in found]), expected)


def bad(mesh: DeviceMesh) -> list[str]:
    graph = ShardedGraph(draw_pairs(), USERS, ITEMS, mesh)
    calls = (
        lambda: ShardedGraph(torch.tensor([[USERS], [0]]), USERS, ITEMS, mesh),
        lambda: ShardedGraph(torch.zeros(3, 1).long(), USERS, ITEMS, mesh),
        lambda: ShardedGraph(draw_pairs(), 0, ITEMS, mesh),
        lambda: ShardedGraph(draw_pairs(), USERS, ITEMS, None),
        lambda: graph.propagate(torch.zeros(3, 4), 1),
        lambda: graph.propagate(torch.zeros(graph.num_nodes, 4), 0),
        lambda: graph.propagate(torch.zeros(graph.num_nodes, 4), 1, num_slices=0),
    )
    found = []
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call()
        found.append(str(caught.value).split("'")[1])
    return found


def test_errors_name_the_argument(ranks: Ranks) -> None:
    assert ranks(1, bad)[0] == [
        *('interactions[0]', 'interactions', 'num_users', 'mesh'),
        *('x', 'num_layers', 'num_slices'),
    ]
