from __future__ import annotations

import math
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional._kernels._batch_users import batch_users
from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._kernels.softmax_loss_sampled import softmax_loss_of_drawn
from pyg_irllrec.functional._precision import at_least_float32, widened
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional.edge_dropout import edge_dropout
from pyg_irllrec.functional.info_nce import unchecked_info_nce
from pyg_irllrec.nn import (
    InteractionTextMatchingLoss,
    IRLLRec,
    LightGCN,
    LossOutput,
    Recommender,
    SoftmaxLoss,
    TranslationAlignmentLoss,
)
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.training.subgraph_sampler import (
    Hop,
    SampledBatch,
    check_model,
    reads_all_items,
    reads_all_nodes,
)
from pyg_irllrec.utils.argument_checks import check_flag, check_instance
from pyg_irllrec.utils.checks import check_generator

_APPROXIMATE = ('moments', 'clusters')


def sampled_loss(
    model: Recommender,
    batch: SampledBatch,
    *,
    update_teacher: bool = True,
    generator: Optional[torch.Generator] = None,
) -> LossOutput:
    r"""An estimate of :meth:`Recommender.loss <pyg_irllrec.nn.Recommender.loss>` from
    a sampled part of the graph.

    With :math:`n` drawn nodes of :math:`N`, means over all nodes become means over the
    drawn ones, and sums over all candidates of a row become

    .. math::
        \sum_{j=1}^{N} e_{ij} \approx e_{ii} + \frac{N - 1}{n - 1} \sum_{j \neq i}
        e_{ij}

    Both are unbiased, given the embeddings, and exact with :math:`n = N`. The logarithm
    of a sum is too low by about half its relative variance, which falls as
    :math:`1 / n`. Embeddings are unbiased in turn. What is not linear in them, such as
    a cosine, has a bias that falls as :math:`1 / k` with :math:`k` neighbours per node.
    The alignment of profiles and intents is computed on the batch, as on the full
    graph. Edge dropout makes a separate draw for each layer. On the full graph, all
    layers share one.

    Args:
        model (Recommender): The model that the batch was sampled for.
        batch (SampledBatch): The batch, see
            :class:`~pyg_irllrec.training.SubgraphSampler`.
        update_teacher (bool): Whether a momentum teacher, if there is one, takes its
            step first, in training mode. (default: :obj:`True`)
        generator (torch.Generator, optional): The source of draws of the text terms.
            (default: :obj:`None`, torch's own)

    Returns:
        The total and its weighted terms by name.

    Raises:
        ValueError: If an argument has another type, a part of the model needs the full
            graph, or the batch does not fit the model.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import SubgraphSampler, sampled_loss
        >>> model = build_model(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> sampler = SubgraphSampler(model, num_neighbors=[3, 2], num_samples=8)
        >>> batch = sampler.sample(torch.tensor([[0, 1], [2, 3], [4, 5]]))
        >>> sorted(sampled_loss(model, batch).terms)
        ['l2', 'ranking']
    """
    check_model(model)
    _check_batch(model, batch)
    check_flag('update_teacher', update_teacher)
    check_generator(generator)
    return _restrict(model, batch).loss(
        batch.triplets, update_teacher=update_teacher, generator=generator
    )


def _check_batch(model: Recommender, batch: object) -> None:
    r"""Raise a :class:`ValueError` unless a batch fits a model."""
    check_instance('batch', batch, SampledBatch)
    assert isinstance(batch, SampledBatch)
    if (
        len(batch.hops) != model.backbone.num_layers
        or int(batch.nodes.max()) >= model.num_users + model.num_items
        or (len(batch.drawn_nodes) > 0) != reads_all_nodes(model)
        or (len(batch.drawn_items) > 0) != reads_all_items(model)
    ):
        raise ValueError(
            "'batch' must be sampled for 'model', got one for another model: use "
            'SubgraphSampler(model, num_neighbors).sample(triplets)'
        )


def _restrict(model: Recommender, batch: SampledBatch) -> Recommender:
    r"""Return the model of the seeds of a batch. It shares the parameters of the model,
    its teacher and its options."""
    seeds = batch.nodes[: batch.hops[0].rowptr.numel() - 1]
    num_items = len(seeds) - batch.num_users
    total = model.num_users + model.num_items
    part: Recommender = _shallow_copy(model)
    part.num_users, part.num_items = batch.num_users, num_items
    backbone = _shallow_copy(model.backbone, _SampledLightGCN)
    backbone.num_users, backbone.num_items = batch.num_users, num_items
    backbone.num_nodes = len(seeds)
    backbone.batch, backbone.sides = batch, (model.num_users, model.num_items)
    part.backbone = backbone
    if isinstance(model.ranking, SoftmaxLoss):
        items = seeds[batch.num_users :] - model.num_users
        share = len(batch.drawn_items) / model.num_items
        part.ranking = _DrawnSoftmax(model.ranking, items, batch.drawn_items, share)
    if isinstance(model, IRLLRec):
        for name, nodes in (
            ('profile', seeds),
            ('intent', seeds),
            ('cluster', seeds),
            ('features', batch.nodes),
        ):
            rows = getattr(model, name)
            if rows is not None:
                rows = rows.index_select(0, nodes.to(rows.device))
            part._buffers[name] = rows
        alignment = _shallow_copy(model.alignment)
        drawn = batch.drawn_nodes
        alignment._modules |= {
            'translation': _DrawnTranslation(alignment.translation, drawn, total),
            'matching': _DrawnMatching(alignment.matching, drawn),
        }
        part._modules['alignment'] = alignment
    return part


def _shallow_copy(module: Module, cls: Optional[type[Module]] = None) -> Any:
    r"""Return a copy that shares parameters, buffers and parts, any of which can be
    replaced in it."""
    out = object.__new__(cls or type(module))
    out.__dict__.update(module.__dict__)
    for name in ('_parameters', '_buffers', '_modules'):
        out.__dict__[name] = dict(module.__dict__[name])
    return out


class _SampledLightGCN(LightGCN):
    r"""Embed the seeds of a batch on its sampled edges."""

    batch: SampledBatch
    sides: tuple[int, int]
    """The numbers of users and items of the full graph."""

    def node_features(self) -> Tensor:
        r"""The rows of the tables for all sampled nodes."""
        nodes, num_users = self.batch.nodes, self.sides[0]
        user, item = self.user_embedding.weight, self.item_embedding.weight
        is_user = nodes < num_users
        rows: Tensor = user.new_empty(len(nodes), user.size(1))
        for table, own, first in ((user, is_user, 0), (item, ~is_user, num_users)):
            place = own.nonzero().flatten()
            rows = rows.index_copy(
                0, place, table.index_select(0, nodes[place] - first)
            )
        return rows

    def forward(
        self, edge_index: Any, edge_weight: Any = None, x: Optional[Tensor] = None
    ) -> BackboneOutput:
        r"""Embed the seeds; the graph is that of the batch."""
        x = widened(self.node_features() if x is None else x)
        layers = [x]
        for hop in reversed(self.batch.hops):
            layers.append(self._propagate(layers[-1], hop))
        embedding = sum_tensors([layer[: self.num_nodes] for layer in layers])
        return BackboneOutput(embedding, self._interaction_intent(layers[:-1]))

    def _propagate(self, x: Tensor, hop: Hop) -> Tensor:
        weight = hop.weight
        if self.training and self.edge_dropout > 0:
            weight = edge_dropout(weight, self.edge_dropout)
        return F.embedding_bag(
            hop.source,
            x,
            hop.rowptr,
            mode='sum',
            per_sample_weights=weight.to(x.dtype),  # Dropout widens half precision.
            include_last_offset=True,
        )

    def _interaction_intent(self, layers: list[Tensor]) -> Optional[Tensor]:
        r"""The interaction intents of the seeds. Edges of one target weigh alike, so
        that their mean needs no weights."""
        if not self.has_intents:
            return None
        hop, num_rows = self.batch.hops[0], layers[-1].size(0)
        target = torch.arange(self.num_nodes, device=hop.source.device)
        target = target.repeat_interleave(
            hop.rowptr.diff(), output_size=len(hop.source)
        )
        edge_index = torch.stack([hop.source, target])
        convolved = []
        for layer in layers:
            x = layer[:num_rows]
            out = self.intent_conv(x, edge_index, intent=self._mix(x))
            convolved.append(out[: self.num_nodes])
        return sum_tensors(convolved) / len(layers)

    def _mix(self, x: Tensor) -> Tensor:
        r"""The intents of the first sampled nodes, each with those of its side."""
        assert self.user_prototypes is not None and self.item_prototypes is not None
        is_user = self.batch.nodes[: x.size(0)] < self.sides[0]
        users, items = is_user.nonzero().flatten(), (~is_user).nonzero().flatten()
        mixed = torch.cat(
            [
                self.user_prototypes(x.index_select(0, users)),
                self.item_prototypes(x.index_select(0, items)),
            ]
        )
        return mixed.index_select(0, torch.cat([users, items]).argsort()).to(x.dtype)

    def prototype_loss(self, x: Tensor, cluster: Tensor) -> Tensor:
        r"""Estimate the mean loss of each side from the drawn nodes."""
        assert self.user_prototypes is not None and self.item_prototypes is not None
        drawn = self.batch.drawn_nodes
        is_user = drawn < self.num_users
        total = x.new_zeros(())
        for prototypes, nodes, size in (
            (self.user_prototypes, drawn[is_user], self.sides[0]),
            (self.item_prototypes, drawn[~is_user], self.sides[1]),
        ):
            logits = prototypes.logits(x.index_select(0, nodes))
            losses = F.cross_entropy(logits, cluster[nodes].long(), reduction='sum')
            total = total + losses * (sum(self.sides) / len(drawn) / size)
        return total


class _DrawnSoftmax(Module):
    r"""A softmax over all items, estimated from drawn ones."""

    def __init__(
        self, loss: SoftmaxLoss, items: Tensor, drawn: Tensor, share: float
    ) -> None:
        super().__init__()
        self.loss, self.items, self.drawn, self.share = loss, items, drawn, share

    def forward(self, user: Tensor, item: Tensor, triplets: Tensor) -> Tensor:
        loss, bias = self.loss, None
        if loss.popularity is not None and loss.popularity_weight != 0:
            count = loss.popularity[self.items]
            bias = -loss.popularity_weight * count.log1p()
        user, item = at_least_float32(user), at_least_float32(item)
        with torch.autocast(user.device.type, enabled=False):
            return softmax_loss_of_drawn(
                *(user, item, triplets[0], triplets[1], None, bias, None),
                *(loss.temperature, loss.normalize, batch_users(triplets[0], None)),
                *(self.drawn, -math.log(self.share)),
            )


class _DrawnTranslation(Module):
    r"""The contrast of all nodes with all nodes, estimated from drawn ones."""

    def __init__(
        self, loss: TranslationAlignmentLoss, drawn: Tensor, total: int
    ) -> None:
        super().__init__()
        self.loss, self.drawn, self.total = loss, drawn, total

    def forward(
        self, text: Tensor, embedding: Tensor, generator: Optional[torch.Generator]
    ) -> Tensor:
        loss = self.loss
        text, embedding = (x.index_select(0, self.drawn) for x in (text, embedding))
        if loss.training and loss.noise > 0:
            text, embedding = (loss._blur(x, generator) for x in (text, embedding))
        size = len(self.drawn)
        is_exact = loss.impl not in _APPROXIMATE
        weight = None if is_exact else text.new_full((size,), self.total / size)
        row = unchecked_info_nce(
            text,
            embedding,
            temperature=loss.temperature,
            key_weight=weight,
            reduction='none',
            impl=loss.impl,
        )
        if is_exact:
            # With o = exp(row) - 1, the others relative to the positive, this is
            # log(1 + c o) for c others per drawn one, without computing exp(row).
            more = (self.total - 1) / (size - 1) - 1
            row = row + torch.log1p(-more * torch.expm1(-row))
        return floor_probability(row, loss.eps).mean()


class _DrawnMatching(Module):
    r"""The mean over all nodes, estimated from drawn ones."""

    def __init__(self, loss: InteractionTextMatchingLoss, drawn: Tensor) -> None:
        super().__init__()
        self.loss, self.drawn = loss, drawn

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        rows = (x.index_select(0, self.drawn) for x in (student, teacher))
        matching: Tensor = self.loss(*rows)
        return matching
