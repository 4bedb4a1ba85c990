from __future__ import annotations

import torch
from torch import Tensor

_MOST_PAIRS = 20_000
_MOST_DRAWS = 10
_SHUFFLES = 30


def text_evidence(vectors: Tensor, node: Tensor, group: Tensor, seed: int = 0) -> float:
    r"""A measure of how well text vectors match the interactions: the mean similarity
    of two nodes with a common neighbour, minus that after shuffling the rows, in
    standard deviations of 30 shuffles. It is about 0 if texts belong to other nodes.

    Args:
        vectors (torch.Tensor): The text vectors, of shape :math:`(N, D)`. A row of
            zeros is a node without a text.
        node (torch.Tensor): The node of each interaction, of shape
            :math:`(|\mathcal{E}|)`.
        group (torch.Tensor): The neighbour of each interaction, of the same shape.
        seed (int): The seed of the shuffles, and of the sample of pairs if there are
            many. (default: :obj:`0`)

    Returns:
        The number of standard deviations, or 0 if no two nodes with texts have a common
        neighbour.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors, node, group = vectors.detach().cpu().float(), node.cpu(), group.cpu()
    has_text = (vectors != 0).any(dim=1)
    # Sort, so that the pairs do not depend on the order of interactions.
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

    def similarity(order: Tensor) -> float:
        return float((rows[order[first]] * rows[order[second]]).sum(dim=1).mean())

    shuffled = torch.tensor(
        [
            similarity(torch.randperm(len(rows), generator=generator))
            for _ in range(_SHUFFLES)
        ]
    )
    deviation = float(shuffled.std())
    if deviation == 0:  # All texts are the same.
        return 0.0
    return (similarity(torch.arange(len(rows))) - float(shuffled.mean())) / deviation


def _pairs(node: Tensor, group: Tensor, generator: torch.Generator) -> Tensor:
    r"""Pairs of nodes that are adjacent in a random order of their group."""
    order = torch.randperm(node.numel(), generator=generator)
    order = order[group[order].argsort(stable=True)]
    node, group = node[order], group[order]
    is_pair = (group[1:] == group[:-1]) & (node[1:] != node[:-1])
    return torch.stack([node[:-1], node[1:]])[:, is_pair]
