from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional, Union

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj

from pyg_irllrec.functional import bpr_loss
from pyg_irllrec.functional.top_k import top_k_items
from pyg_irllrec.nn.loss import IntentAlignmentLoss, LossOutput
from pyg_irllrec.nn.models.backbone import Backbone
from pyg_irllrec.nn.momentum_encoder import MomentumEncoder
from pyg_irllrec.nn.text_projector import TextProjector
from pyg_irllrec.utils.adjacency import (
    check_node_ids,
    narrow_ids,
    sort_by_target,
    source_and_target,
    symmetric_norm,
    to_edge_index,
)
from pyg_irllrec.utils.checks import (
    check_finite,
    check_integer,
    check_matrix,
    check_not_negative,
)
from pyg_irllrec.utils.first_occurrence import first_occurrence
from pyg_irllrec.utils.user_items import UserItems


class Recommendation(NamedTuple):
    r"""The best items of each user, best first, both of shape :math:`(B, k)`."""

    item: Tensor
    """Item ids; -1 where fewer than :math:`k` items were left to recommend."""
    score: Tensor
    """Their scores; :math:`-\\infty` where the id is -1."""


class IRLLRec(Module):
    r"""A graph recommender whose intents are aligned with those a language model
    wrote down, from the `"Intent Representation Learning with Large Language Model
    for Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper. It adds text
    towers and alignment to any backbone:

    .. math::
        \mathcal{L} = \mathcal{L}_{\text{BPR}} + \mathcal{L}_{\text{alignment}} +
        \mathcal{L}_{\text{backbone}} + \lambda \sum_{\theta} \|\theta\|^2

    What is aligned follows from the texts given: none (the plain backbone),
    profiles (RLMRec-Con), or profiles and intents (the whole method).

    The graph and the text embeddings belong to the model, as the embedding tables
    do; they move with it but are not saved with it.

    Args:
        backbone (Backbone): What embeds the graph.
        edge_index (torch.Tensor or SparseTensor): The undirected user-item graph
            of *training* interactions, users first, in any PyG format; see
            :func:`~pyg_irllrec.utils.bipartite_edge_index`.
        edge_weight (torch.Tensor, optional): Its weights beside an
            :obj:`edge_index`. Missing weights become the symmetric
            normalisation, once. (default: :obj:`None`)
        profile (torch.Tensor, optional): Text embeddings of profiles, users
            first, :math:`(|\mathcal{V}|, D_t)`. (default: :obj:`None`)
        intent (torch.Tensor, optional): Text embeddings of intents, likewise.
            (default: :obj:`None`)
        alignment (IntentAlignmentLoss, optional): The alignment losses and their
            weights. (default: :obj:`None`, the defaults of
            :class:`~pyg_irllrec.nn.IntentAlignmentLoss`)
        momentum (float): The momentum of the intent tower's teacher.
            (default: :obj:`0.999`)
        l2_weight (float): :math:`\lambda`. (default: :obj:`1e-6`)
        l2_teacher (bool): Whether the frozen teacher counts in the L2 term, as it
            does in the authors' code. It has no gradient, so that only the
            printed loss changes. (default: :obj:`False`)

    Raises:
        ValueError: If the graph, the texts or an option do not fit.
    """

    edge_index: Tensor
    edge_weight: Tensor
    profile: Optional[Tensor]
    intent: Optional[Tensor]

    def __init__(
        self,
        backbone: Backbone,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        *,
        profile: Optional[Tensor] = None,
        intent: Optional[Tensor] = None,
        alignment: Optional[IntentAlignmentLoss] = None,
        momentum: float = 0.999,
        l2_weight: float = 1e-6,
        l2_teacher: bool = False,
    ) -> None:
        super().__init__()
        check_not_negative('l2_weight', l2_weight)
        for name, text in (('profile', profile), ('intent', intent)):
            if text is not None:
                _check_text(name, text, backbone.num_nodes)
        self.backbone = backbone
        self.alignment = IntentAlignmentLoss() if alignment is None else alignment
        self.l2_weight = l2_weight
        self.l2_teacher = l2_teacher

        edge_index, edge_weight = _prepare_graph(edge_index, edge_weight, backbone)
        self.register_buffer('edge_index', edge_index, persistent=False)
        self.register_buffer('edge_weight', edge_weight, persistent=False)
        self.register_buffer('profile', profile, persistent=False)
        self.register_buffer('intent', intent, persistent=False)

        dim = backbone.embedding_dim
        self.profile_projector: Optional[TextProjector] = None
        self.intent_projector: Optional[MomentumEncoder] = None
        if profile is not None:
            self.profile_projector = TextProjector(profile.size(1), dim)
        if intent is not None:
            projector = TextProjector(intent.size(1), dim)
            self.intent_projector = MomentumEncoder(projector, momentum)

    @property
    def num_users(self) -> int:
        r"""The number of users."""
        return self.backbone.num_users

    @property
    def num_items(self) -> int:
        r"""The number of items."""
        return self.backbone.num_items

    def encode(self) -> tuple[Tensor, Tensor]:
        r"""The embeddings that score, of users :math:`(U, d)` and items
        :math:`(I, d)`. Call :meth:`eval` first for those without dropout."""
        embedding = self.backbone.embed(self.edge_index, self.edge_weight)
        return embedding[: self.num_users], embedding[self.num_users :]

    def loss(
        self,
        triplets: Tensor,
        *,
        update_teacher: bool = True,
        generator: Optional[torch.Generator] = None,
    ) -> LossOutput:
        r"""The loss of a batch of triplets.

        Args:
            triplets (torch.Tensor): User, positive item and negative item ids,
                each from zero, of shape :math:`(3, B)`.
            update_teacher (bool): Whether the teacher takes its step first. It
                does so in training mode only; with gradient accumulation, let it
                once an optimizer step. (default: :obj:`True`)
            generator (torch.Generator, optional): Where the noise of the
                alignment comes from. (default: :obj:`None`, torch's own)

        Returns:
            The total and its weighted terms: :obj:`"bpr"`, :obj:`"l2"`, those of
            the backbone, and :obj:`"profile"`, :obj:`"intent"`,
            :obj:`"translation"`, :obj:`"matching"` as far as they apply.
        """
        if triplets.dim() != 2 or triplets.size(0) != 3 or triplets.size(1) == 0:
            raise ValueError(
                "'triplets' must have shape (3, batch_size), got "
                f'{tuple(triplets.shape)}'
            )
        # Before the teacher's step: the authors' L2 term counts the earlier one.
        l2 = self.l2_weight * self._squared_norm()
        output = self.backbone(self.edge_index, self.edge_weight)
        user, item = (
            output.embedding[: self.num_users],
            output.embedding[self.num_users :],
        )
        bpr = bpr_loss(user[triplets[0]], item[triplets[1]], item[triplets[2]])

        profile = text_intent = teacher_intent = None
        weights = self.alignment.weights
        reads_profile = weights['profile'] > 0
        reads_intent = weights['intent'] > 0 or self.alignment.needs_all_intents()
        if reads_profile and self.profile_projector is not None:
            assert self.profile is not None
            profile = self._project(self.profile_projector, self.profile, triplets)
        if reads_intent and self.intent_projector is not None:
            assert self.intent is not None
            if self.training and update_teacher:
                self.intent_projector.update()
            if self.alignment.needs_all_intents():
                text_intent = self.intent_projector(self.intent)
            else:
                text_intent = self._project(
                    self.intent_projector, self.intent, triplets
                )
            if weights['matching'] > 0:
                teacher_intent = self.intent_projector.teach(self.intent)
            if output.intent is None and weights['intent'] > 0:
                raise ValueError(
                    "'intent' texts need a backbone that computes intents, such as "
                    'LightGCN(..., num_intents=128), or intent_weight=0'
                )
        alignment = self.alignment(
            output.embedding,
            triplets,
            self.num_users,
            profile=profile,
            interaction_intent=output.intent,
            text_intent=text_intent,
            teacher_intent=teacher_intent,
            generator=generator,
        )
        terms = {
            'bpr': bpr,
            'l2': l2,
            **self.backbone.auxiliary_loss(output, triplets),
            **alignment.terms,
        }
        return LossOutput(torch.stack(list(terms.values())).sum(), terms)

    def _project(self, projector: Module, text: Tensor, triplets: Tensor) -> Tensor:
        r"""The projected texts of the nodes that a batch reads, and zeros for all
        others: a tower is the costliest part of a step."""
        num_nodes = self.backbone.num_nodes
        nodes = self.alignment.batch_nodes(triplets, num_nodes, self.num_users)
        if nodes.device.type == 'cpu' and not torch.compiler.is_compiling():
            nodes = nodes.unique()
        if nodes.numel() >= num_nodes:
            everything: Tensor = projector(text)
            return everything
        rows: Tensor = projector(text[nodes])
        # Elsewhere shapes must not depend on data: of a node that is named twice, one
        # row counts.
        rows = rows * first_occurrence(nodes).unsqueeze(1)
        return rows.new_zeros(num_nodes, rows.size(1)).index_add(0, nodes, rows)

    def _squared_norm(self) -> Tensor:
        weights: list[Tensor] = list(self.parameters())
        if self.l2_teacher and self.intent_projector is not None:
            weights += list(self.intent_projector.teacher.buffers())
        return torch.stack([weight.square().sum() for weight in weights]).sum()

    @torch.no_grad()
    def recommend(
        self,
        users: Tensor,
        k: int,
        *,
        exclude: Union[Tensor, UserItems, None] = None,
        batch_size: int = 128,
    ) -> Recommendation:
        r"""The best items of each user, in evaluation mode.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.
            k (int): The number of items.
            exclude (torch.Tensor or UserItems, optional): Interactions that must
                not be recommended, usually those of training: user and item ids
                of shape :math:`(2, |\mathcal{E}|)`. (default: :obj:`None`)
            batch_size (int): How many users are scored at once: memory is
                :math:`\text{batch\_size} \times I`. (default: :obj:`128`)

        Raises:
            ValueError: If an id is out of range or :obj:`k` is not from 1 to the
                number of items.
        """
        device = self.edge_index.device
        users = torch.as_tensor(users, device=device)
        if users.dim() != 1:
            raise ValueError(
                f"'users' must be a vector of ids, got shape {tuple(users.shape)}"
            )
        if users.numel() > 0:
            check_integer('users', users)
        users = users.long()
        check_node_ids(users, self.num_users, 'users')
        if not 1 <= k <= self.num_items:
            raise ValueError(
                f"'k' must be from 1 to the number of items, {self.num_items}, got {k}"
            )
        if isinstance(exclude, Tensor):
            exclude = UserItems(exclude, self.num_users, self.num_items)
        exclude = None if exclude is None else exclude.to(device)

        with evaluating(self):
            user_embedding, item_embedding = self.encode()
        items, scores = [], []
        for batch in users.split(batch_size):
            pairs = None if exclude is None else exclude.lookup(batch)
            score, item = top_k_items(user_embedding[batch], item_embedding, k, pairs)
            items.append(item.where(score > -torch.inf, item.new_tensor(-1)))
            scores.append(score)
        return Recommendation(torch.cat(items), torch.cat(scores))


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    r"""Evaluation mode, and afterwards the mode that each part was in."""
    training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, mode in training.items():
            child.training = mode


def _check_text(name: str, text: Tensor, num_nodes: int) -> None:
    check_matrix(name, text)
    if text.size(0) != num_nodes:
        raise ValueError(
            f"'{name}' must have a row a node, users first, {num_nodes} rows, got "
            f'{text.size(0)}'
        )
    check_finite(name, text)


def _prepare_graph(
    edge_index: Adj, edge_weight: Optional[Tensor], backbone: Backbone
) -> tuple[EdgeIndex, Tensor]:
    r"""Sorts and normalises once what every step multiplies with."""
    edge_index, edge_weight = to_edge_index(edge_index, edge_weight)
    if edge_index.size(1) == 0:
        raise ValueError("'edge_index' must hold at least one edge, got none")
    num_nodes = backbone.num_nodes
    check_node_ids(edge_index, num_nodes)
    source, _ = source_and_target(edge_index)
    if int(source.max()) < backbone.num_users:
        raise ValueError(
            "'edge_index' must hold both directions of the graph with items behind "
            f'users, from {backbone.num_users} on, got no edge that leaves an item: '
            'make it with bipartite_edge_index(interactions, num_users, num_items)'
        )
    if edge_weight is None:
        edge_weight = symmetric_norm(edge_index, num_nodes)
    graph, order = sort_by_target(edge_index, num_nodes)
    return narrow_ids(graph), edge_weight if order is None else edge_weight[order]
