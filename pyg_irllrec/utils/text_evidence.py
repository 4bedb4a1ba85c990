from __future__ import annotations

import torch
from torch import Tensor

_MOST_PAIRS = 20_000
_MOST_DRAWS = 10
_SHUFFLES = 30


def text_evidence(vectors: Tensor, node: Tensor, group: Tensor, seed: int = 0) -> float:
    r"""Whether vectors of texts have to do with interactions: how much more alike those
    of two nodes with a common neighbour are than if rows were shuffled, in standard
    deviations of 30 shuffles. It is about 0 for texts of other nodes.

    Args:
        vectors (torch.Tensor): The vectors, of shape :math:`(N, D)`; a row of zeros is
            a node without a text.
        node (torch.Tensor): The node of each interaction, of shape
            :math:`(|\mathcal{E}|)`.
        group (torch.Tensor): Its neighbour, likewise.
        seed (int): The seed of the shuffles, and of the pairs where there are many.
            (default: :obj:`0`)

    Returns:
        The standard deviations; 0 where no two nodes with texts have a neighbour in
        common.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors, node, group = vectors.detach().cpu().float(), node.cpu(), group.cpu()
    has_text = (vectors != 0).any(dim=1)
    # In whatever order interactions come, the same pairs are drawn.
    num_groups = int(group.max()) + 1 if group.numel() > 0 else 1
    key = (node * num_groups + group).unique()
    node, group = key // num_groups, key % num_groups
    node, group = node[has_text[node]], group[has_text[node]]
    draws = min(max(_MOST_PAIRS // max(node.numel(), 1), 1), _MOST_DRAWS)
    pairs = torch.cat([_pairs(node, group, generator) for _ in range(draws)], dim=1)
    if pairs.size(1) == 0:
        return 0.0
    chosen = torch.randperm(pairs.size(1), generator=generator)[:_MOST_PAIRS]
    pairs = pairs[:, chosen]
    rows = vectors[has_text]
    rows = torch.nn.functional.normalize(rows - rows.mean(dim=0), dim=1)
    place = has_text.cumsum(0) - 1
    first, second = place[pairs]

    def likeness(order: Tensor) -> float:
        return float((rows[order[first]] * rows[order[second]]).sum(dim=1).mean())

    shuffled = torch.tensor(
        [
            likeness(torch.randperm(len(rows), generator=generator))
            for _ in range(_SHUFFLES)
        ]
    )
    deviation = float(shuffled.std())
    if deviation == 0:  # All texts are the same.
        return 0.0
    return (likeness(torch.arange(len(rows))) - float(shuffled.mean())) / deviation


def _pairs(node: Tensor, group: Tensor, generator: torch.Generator) -> Tensor:
    r"""Nodes that follow each other in a random order of their group."""
    order = torch.randperm(node.numel(), generator=generator)
    order = order[group[order].argsort(stable=True)]
    node, group = node[order], group[order]
    is_pair = (group[1:] == group[:-1]) & (node[1:] != node[:-1])
    return torch.stack([node[:-1], node[1:]])[:, is_pair]
