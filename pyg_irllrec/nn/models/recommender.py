from __future__ import annotations

from typing import ClassVar, Optional, Union

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.parameter import is_lazy
from torch_geometric.typing import Adj

from pyg_irllrec.functional._precision import widened
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.loss import LossOutput
from pyg_irllrec.nn.models.recommendation import (
    Recommendation,
    check_pairs,
    check_queries,
    recommend,
)
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.checks import check_count, check_not_negative, check_triplets
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.normalised_graph import normalised_graph
from pyg_irllrec.utils.user_items import UserItems


class Recommender(Module):
    r"""A backbone with its graph, that is trained and recommends:

    .. math::
        \mathcal{L} = \mathcal{L}_{\text{ranking}} + \mathcal{L}_{\text{backbone}} +
        \lambda \sum_{\theta} \|\theta\|^2

    The graph belongs to the model: it moves with it but is not saved with it.
    :class:`~pyg_irllrec.nn.IRLLRec` and :class:`~pyg_irllrec.nn.RLMRecGen` add text.
    :class:`torch.nn.parallel.DistributedDataParallel` synchronises gradients of its own
    call alone: those of :obj:`ddp.module.loss(triplets)` stay apart. Train with
    Lightning, see :class:`~pyg_irllrec.training.LitRecommender`, or wrap a module whose
    :meth:`forward` returns the loss. All processes have the same graph and texts:
    :obj:`broadcast_buffers=False` saves sending them in every step.

    Args:
        backbone (Backbone): What embeds the graph.
        edge_index (torch.Tensor or SparseTensor): The undirected user-item graph
            of *training* interactions, users first, in any PyG format; see
            :func:`~pyg_irllrec.utils.bipartite_edge_index`.
        edge_weight (torch.Tensor, optional): Its weights beside an
            :obj:`edge_index`. Missing weights become the symmetric
            normalisation, once. (default: :obj:`None`)
        l2_weight (float): :math:`\lambda`. (default: :obj:`1e-6`)

    Raises:
        ValueError: If the graph or an option does not fit.
    """

    edge_index: Tensor
    edge_weight: Tensor

    _own_terms: ClassVar[tuple[str, ...]] = ('ranking', 'l2')

    def __init__(
        self,
        backbone: Backbone,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        *,
        l2_weight: float = 1e-6,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, Backbone):
            raise ValueError(
                "'backbone' must be a Backbone, got "
                f'{type(backbone).__name__}: wrap a module in ModuleBackbone'
            )
        check_not_negative('l2_weight', l2_weight)
        self.backbone = backbone
        self.num_users = backbone.num_users
        self.num_items = backbone.num_items
        self.l2_weight = l2_weight
        edge_index, edge_weight = normalised_graph(
            edge_index, edge_weight, backbone.num_users, backbone.num_items
        )
        self.register_buffer('edge_index', edge_index, persistent=False)
        self.register_buffer('edge_weight', edge_weight, persistent=False)
        if any(is_lazy(weight) for weight in backbone.parameters()):
            with torch.no_grad(), evaluating(backbone):
                self.get_embeddings()  # Lazy modules learn their sizes.

    def reset_parameters(self) -> None:
        r"""Draws all parameters anew: under the same seed, those of a new model, with
        the limit of :class:`~pyg_irllrec.nn.ModuleBackbone`."""
        self.backbone.reset_parameters()

    def forward(self, edge_label_index: Optional[Tensor] = None) -> Tensor:
        r"""The scores of pairs of users and items, the inner products of their
        embeddings.

        Args:
            edge_label_index (torch.Tensor, optional): User and item ids, each from
                zero, of shape :math:`(2, E)`. (default: :obj:`None`, all edges from
                users to items of the graph, in its order)

        Returns:
            A score per pair, of shape :math:`(E)`.

        Raises:
            ValueError: If an id is out of range.
        """
        if edge_label_index is None:
            source, target = source_and_target(self.edge_index)
            rates = (source < self.num_users) & (target >= self.num_users)
            users, items = source[rates], target[rates] - self.num_users
        else:
            users, items = source_and_target(
                check_pairs(
                    'edge_label_index', edge_label_index, self.num_users, self.num_items
                ).long()
            )
        user, item = self.get_embeddings()
        return (user[users] * item[items]).sum(dim=-1)

    def get_embeddings(self) -> tuple[Tensor, Tensor]:
        r"""The embeddings that score, of users :math:`(U, d)` and items
        :math:`(I, d)`. Call :meth:`eval` first for those without dropout."""
        embedding = self.backbone.get_embedding(self.edge_index, self.edge_weight)
        self.backbone.check_output('embeddings', embedding)
        return self._sides(widened(embedding))

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
            update_teacher (bool): Whether a momentum teacher, if there is one,
                takes its step first. It does so in training mode only; with gradient
                accumulation, let it once an optimizer step.
                (default: :obj:`True`)
            generator (torch.Generator, optional): Where the draws of the text terms
                come from. (default: :obj:`None`, torch's own)

        Returns:
            The total and its weighted terms by name, :obj:`"ranking"` and so on.
        """
        check_triplets(triplets, self.num_users, self.num_items)
        # Before a teacher's step: the authors' L2 term counts the earlier one.
        l2 = self.edge_weight.new_zeros(())
        for weight in self.parameters():
            if weight.requires_grad:
                l2 = l2 + weight.square().sum()
        for value in self._frozen_in_l2():
            l2 = l2 + value.square().sum()
        if self.training and update_teacher:
            self.update_teacher()
        terms = {'l2': self.l2_weight * l2, **self._terms(triplets, generator)}
        for name, term in terms.items():
            if term.dim() != 0:
                raise ValueError(
                    f"'backbone' must give losses without dimensions, got {name!r} of "
                    f'shape {tuple(term.shape)}'
                )
        return LossOutput(torch.stack(list(terms.values())).sum(), terms)

    def update_teacher(self) -> None:
        r"""The step of a momentum teacher, if there is one."""

    def _terms(
        self, triplets: Tensor, generator: Optional[torch.Generator]
    ) -> dict[str, Tensor]:
        r"""All terms of the loss but L2."""
        return self._backbone_terms(self._embed_graph(), triplets)

    def _embed_graph(self, x: Optional[Tensor] = None) -> BackboneOutput:
        given = {} if x is None else {'x': x}
        output: BackboneOutput = self.backbone(
            self.edge_index, self.edge_weight, **given
        )
        if not isinstance(output, BackboneOutput):
            raise ValueError(
                f"'backbone' must return a BackboneOutput, got {type(output).__name__}"
            )
        embedding, intent, _ = output
        shape = (self.backbone.num_nodes, self.backbone.embedding_dim)
        if not isinstance(embedding, Tensor) or embedding.shape != shape:
            self.backbone.check_output('embeddings', embedding)
        if intent is not None and intent.shape != shape:
            self.backbone.check_output('intents', intent)
        return output._replace(embedding=widened(output.embedding))

    def _sides(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        user, item = embedding[: self.num_users], embedding[self.num_users :]
        if torch.compiler.is_compiling():
            # Beside an EdgeIndex it cannot return two views of one tensor.
            return user.clone(), item.clone()
        return user, item

    def _backbone_terms(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        user, positive, negative = triplets
        embedding = output.embedding
        ranking = self.backbone.ranking_loss(
            embedding[user],
            embedding[positive + self.num_users],
            embedding[negative + self.num_users],
        )
        own = self.backbone.auxiliary_loss(output, triplets)
        if taken := own.keys() & set(self._own_terms):
            raise ValueError(
                "'backbone' must name its losses unlike those of the model, "
                f'{", ".join(self._own_terms)}, got {", ".join(sorted(taken))}'
            )
        return {'ranking': ranking, **own}

    def _frozen_in_l2(self) -> list[Tensor]:
        r"""What L2 counts besides all that is trained."""
        return []

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
            ValueError: If an id is out of range, :obj:`k` is not from 1 to the
                number of items, or :obj:`exclude` is something else.
        """
        try:
            users = torch.as_tensor(users, device=self.edge_index.device)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"'users' must be a vector of ids: {error}") from None
        check_queries(users, k, self.num_users, self.num_items)
        check_count('batch_size', batch_size)
        exclude = self._check_exclude(exclude)
        with evaluating(self):
            user, item = self.get_embeddings()
        return recommend(user, item, users.long(), k, exclude, batch_size)

    def _check_exclude(self, exclude: object) -> Optional[UserItems]:
        sizes = self.num_users, self.num_items
        if isinstance(exclude, Tensor):
            return UserItems(check_pairs('exclude', exclude, *sizes), *sizes)
        if exclude is None:
            return None
        if not isinstance(exclude, UserItems):
            raise ValueError(
                "'exclude' must be user and item ids of shape (2, num_interactions) or "
                f'UserItems, got {type(exclude).__name__}: pass the edge_index of its '
                'interactions'
            )
        if (exclude.num_users, exclude.num_items) != sizes:
            raise ValueError(
                f"'exclude' must have the {sizes[0]} users and {sizes[1]} items of the "
                f'model, got {exclude!r}'
            )
        return exclude

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
