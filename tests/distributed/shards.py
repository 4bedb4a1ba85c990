"""A small graph, as ranks share it."""

from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.distributed import ShardedGraph

USERS, ITEMS = 13, 9


def draw_pairs() -> Tensor:
    """Interactions, of which some come twice."""
    generator = torch.Generator().manual_seed(0)
    user = torch.randint(USERS, (60,), generator=generator)
    item = torch.randint(ITEMS - 1, (60,), generator=generator)
    return torch.stack([user, item])


def own_nodes(graph: ShardedGraph, x: Tensor) -> Tensor:
    """A rank's rows of a matrix of all nodes, users first."""
    rank = graph.mesh.get_group().rank()
    parts = [
        side[ranges.start(rank) :][: ranges.count(rank)]
        for side, ranges in zip(x.split([USERS, ITEMS]), graph.ranges)
    ]
    return torch.cat(parts)


def whole(parts: list[Tensor]) -> Tensor:
    """The matrix of all nodes from all ranks' rows."""
    num_ranks = len(parts)
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    user_block = -(-USERS // num_ranks)
    for rank, part in enumerate(parts):
        count = min(max(USERS - rank * user_block, 0), user_block)
        for side, rows in zip(sides, part.tensor_split([count])):
            side.append(rows)
    return torch.cat(sides[0] + sides[1])
