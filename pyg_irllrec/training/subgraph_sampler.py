from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import (
    BPRLoss,
    DirectAULoss,
    InteractionTextMatchingLoss,
    IRLLRec,
    LightGCN,
    Recommender,
    SoftmaxLoss,
    TranslationAlignmentLoss,
)
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.nn.loss._batch import batch_nodes
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.argument_checks import check_instance, is_iterable
from pyg_irllrec.utils.checks import check_count, check_generator, check_triplets
from pyg_irllrec.utils.first_occurrence import first_occurrence


class Hop(NamedTuple):
    r"""The sampled edges into some nodes, from these nodes and new ones."""

    rowptr: Tensor
    """The first edge of each target, and the number of edges."""
    source: Tensor
    """The place of the source of each edge in :obj:`SampledBatch.nodes`."""
    weight: Tensor
    """The weight of each edge, times the neighbours that it represents."""


class SampledBatch(NamedTuple):
    r"""A batch of triplets with the part of the graph that its loss reads.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import SubgraphSampler
        >>> model = build_model(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> sampler = SubgraphSampler(model, num_neighbors=[3, 2], num_samples=8)
        >>> batch = sampler.sample(torch.tensor([[0, 1], [2, 3], [4, 5]]))
        >>> batch.triplets.shape, len(batch.hops)
        (torch.Size([3, 2]), 2)
    """

    triplets: Tensor
    """The triplets, :math:`(3, B)`, as places among the seeds of each side."""
    nodes: Tensor
    """The numbers of all sampled nodes. The seeds come first, users before items, and
    then the new nodes of each hop."""
    num_users: int
    """The number of seeds that are users."""
    hops: tuple[Hop, ...]
    """The edges of each hop, from the seeds outwards."""
    drawn_nodes: Tensor
    """The seeds that represent all nodes."""
    drawn_items: Tensor
    """The seeds that represent all items, as places among the items."""


class SubgraphSampler:
    r"""Sample the part of a graph that the loss of a batch reads, for graphs whose
    activations do not fit: the neighbours of its nodes, and nodes that represent all
    others.

    - The seeds are the nodes of the batch, :obj:`num_samples` nodes drawn uniformly
      without replacement if a term of the loss reads all nodes, and as many items if
      the ranking loss reads all items.
    - Each layer of the propagation has a sample of its own: a node of degree
      :math:`d > k` gets one neighbour from each of :math:`k` equal parts of its
      neighbourhood, and each counts :math:`d / k` times. The weights of edges are those
      of the full graph, by full degrees. The embeddings of a
      :class:`~pyg_irllrec.nn.LightGCN` are therefore unbiased estimates of those of
      the full graph.

    Args:
        model (Recommender): A :class:`~pyg_irllrec.nn.Recommender` or
            :class:`~pyg_irllrec.nn.IRLLRec` of a :class:`~pyg_irllrec.nn.LightGCN`.
        num_neighbors (sequence of int): The number of neighbours :math:`k` per node and
            hop, outwards from the batch, with one entry per layer; :obj:`-1` takes all.
        num_samples (int): The number of nodes, and of items, that represent all.
            (default: :obj:`4096`)

    Raises:
        ValueError: If an argument is out of range, or a part of the model needs the
            full graph.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import SubgraphSampler, sampled_loss
        >>> model = build_model(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> sampler = SubgraphSampler(model, num_neighbors=[3, 2], num_samples=8)
        >>> batch = sampler.sample(torch.tensor([[0, 1], [2, 3], [4, 5]]))
        >>> sampled_loss(model, batch).total.shape
        torch.Size([])
    """

    def __init__(
        self, model: Recommender, num_neighbors: Sequence[int], num_samples: int = 4096
    ) -> None:
        check_model(model)
        self.num_neighbors = read_num_neighbors(num_neighbors)
        if len(self.num_neighbors) != model.backbone.num_layers:
            raise ValueError(
                "'num_neighbors' must have one entry per layer of the backbone, "
                f'{model.backbone.num_layers}, got {len(self.num_neighbors)}'
            )
        check_count('num_samples', num_samples)
        if num_samples == 1 and _contrasts_all_nodes(model):
            raise ValueError(
                "'num_samples' must be at least 2 for a translation term, which "
                'contrasts a node with others, got 1'
            )
        self.model = model
        self.num_samples = num_samples
        source, target = source_and_target(model.edge_index)
        num_nodes = model.num_users + model.num_items
        # The graph of a model is sorted by target.
        self._source = source
        self._degree = torch.bincount(target, minlength=num_nodes)
        self._first = self._degree.cumsum(0) - self._degree
        self._place = self._degree.new_full((num_nodes,), -1)

    def sample(
        self, triplets: Tensor, generator: Optional[torch.Generator] = None
    ) -> SampledBatch:
        r"""Sample the part of the graph that the loss of a batch reads, on the device
        of the model.

        Args:
            triplets (torch.Tensor): User, positive item and negative item ids, all
                zero-based, of shape :math:`(3, B)`.
            generator (torch.Generator, optional): The source of draws.
                (default: :obj:`None`, torch's own)

        Raises:
            ValueError: If an id is out of range.
        """
        num_users, num_items = self.model.num_users, self.model.num_items
        check_triplets(triplets, num_users, num_items)
        check_generator(generator)
        triplets = triplets.to(self._degree.device).long()
        given = [
            batch_nodes(triplets, num_users),
            self._draw(reads_all_nodes(self.model), num_users + num_items, generator),
            self._draw(reads_all_items(self.model), num_items, generator) + num_users,
        ]
        nodes, place = torch.cat(given).unique(return_inverse=True)
        batch, drawn_nodes, drawn_items = place.split([len(each) for each in given])
        user_seeds = int((nodes < num_users).sum())
        user, items = batch.view_as(triplets).split([1, 2])
        hops = []
        for num_neighbors in self.num_neighbors:
            rowptr, source, weight = self._neighbors(nodes, num_neighbors, generator)
            nodes, source = self._number(nodes, source)
            hops.append(Hop(rowptr, source, weight))
        return SampledBatch(
            torch.cat([user, items - user_seeds]),
            nodes,
            user_seeds,
            tuple(hops),
            drawn_nodes,
            (drawn_items - user_seeds).sort().values,
        )

    def _draw(
        self, is_read: bool, total: int, generator: Optional[torch.Generator]
    ) -> Tensor:
        r"""Draw distinct numbers uniformly, without work for those that are not
        drawn."""
        device = self._degree.device
        size = min(self.num_samples, total) if is_read else 0
        if 2 * size < total:
            shape = (2 * size + 64,)
            drawn = torch.randint(total, shape, device=device, generator=generator)
            drawn = drawn[first_occurrence(drawn)]
            if drawn.numel() >= size:
                return drawn[:size]
        return torch.randperm(total, device=device, generator=generator)[:size]

    def _neighbors(
        self, nodes: Tensor, most: int, generator: Optional[torch.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Sample neighbours: the first edge of each node, sources, and weights."""
        degree = self._degree[nodes]
        count = degree if most == -1 else degree.clamp(max=most)
        rowptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
        total = int(rowptr[-1])
        row = torch.repeat_interleave(
            torch.arange(len(nodes), device=nodes.device), count, output_size=total
        )
        # Each edge is drawn with the probability count / degree. Without a choice the
        # step is 1 and the draw is rounded away.
        step = degree[row].double() / count[row]
        draw = torch.rand(
            total, dtype=torch.double, device=row.device, generator=generator
        )
        place = torch.arange(total, device=row.device) - rowptr[row]
        place = ((place + draw) * step).long().minimum(degree[row] - 1)
        edge = self._first[nodes][row] + place
        weight = self.model.edge_weight[edge]
        return rowptr, self._source[edge].long(), weight * step.to(weight.dtype)

    def _number(self, nodes: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        r"""Append new sources to the nodes, and return the place of each source."""
        known = torch.arange(len(nodes), device=nodes.device)
        self._place[nodes] = known
        new = source[self._place[source] < 0].unique()
        nodes = torch.cat([nodes, new])
        self._place[new] = torch.arange(len(known), len(nodes), device=nodes.device)
        source = self._place[source]
        self._place[nodes] = -1
        return nodes, source


def read_num_neighbors(value: object) -> list[int]:
    r"""Return the numbers of neighbours per hop, or raise a :class:`ValueError`."""
    if not is_iterable(value):
        raise ValueError(
            "'num_neighbors' must be a sequence of integers, one per layer, got "
            f'{type(value).__name__}'
        )
    numbers = list(value)
    for number in numbers:
        if isinstance(number, Integral) and number == -1:
            continue
        try:
            check_count('num_neighbors', number)
        except ValueError as error:
            raise ValueError(f'{error}; -1 means all neighbours') from None
    return [int(number) for number in numbers]


def check_model(model: object) -> None:
    r"""Raise a :class:`ValueError` unless the loss of a model can be sampled."""
    check_instance('model', model, Recommender)
    assert isinstance(model, Recommender)
    if cause := find_unsampled(model):
        raise ValueError(
            f"'model' must be one whose loss can be sampled, but {cause}: train it on "
            'the full graph, with InteractionDataModule'
        )


def find_unsampled(model: Recommender) -> Optional[str]:
    r"""Return what needs the full graph, if anything."""
    if type(model) not in (Recommender, IRLLRec):
        return f'{type(model).__name__} reads all nodes'
    backbone, ranking = model.backbone, model.ranking
    if not is_plain(backbone, LightGCN):
        return f'its backbone, {type(backbone).__name__}, is not a plain LightGCN'
    if isinstance(ranking, SoftmaxLoss) and is_plain(ranking, SoftmaxLoss):
        if ranking.known != 'batch':
            return "its SoftmaxLoss does not have known='batch'"
        if ranking.sample_weight is not None:
            return "its SoftmaxLoss has a 'sample_weight'"
    elif ranking is not None and not (
        is_plain(ranking, BPRLoss) or is_plain(ranking, DirectAULoss)
    ):
        return f'its ranking loss, {type(ranking).__name__}, may read all nodes'
    if not isinstance(model, IRLLRec):
        return None
    alignment, has_texts = model.alignment, False
    for text in (model.profile, model.intent):
        has_texts = has_texts or text is not None
    if not has_texts:
        return None
    if not alignment.reads_batch_only():
        return "its alignment does not have negatives='batch'"
    if not is_plain(alignment.translation, TranslationAlignmentLoss) or not is_plain(
        alignment.matching, InteractionTextMatchingLoss
    ):
        return 'its translation or matching loss is replaced'
    return None


def reads_all_nodes(model: Recommender) -> bool:
    r"""Whether a term of the loss reads nodes that represent all."""
    if not isinstance(model, IRLLRec):
        return False
    has_intents = model.intent is not None and model.alignment.needs_all_intents()
    return has_intents or model.cluster is not None


def _contrasts_all_nodes(model: Recommender) -> bool:
    return (
        isinstance(model, IRLLRec)
        and model.intent is not None
        and model.alignment.weights['translation'] > 0
    )


def reads_all_items(model: Recommender) -> bool:
    r"""Whether the ranking loss reads items that represent all."""
    return isinstance(model.ranking, SoftmaxLoss)
