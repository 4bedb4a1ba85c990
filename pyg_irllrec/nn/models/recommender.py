from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import ClassVar, Optional

import torch
from torch import Tensor
from torch.nn import Module, ModuleList
from torch.nn.parameter import is_lazy
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.functional._precision import at_least_float32, widened
from pyg_irllrec.functional._sum_of_squares import sum_of_squares
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.loss import LossOutput
from pyg_irllrec.nn.loss._batch import batch_nodes
from pyg_irllrec.nn.models._blend import best_blend, blend, standardise
from pyg_irllrec.nn.models._measure import measure
from pyg_irllrec.nn.models._own_interactions import interactions_of
from pyg_irllrec.nn.models._trials import counting_trials, note_choosing
from pyg_irllrec.nn.models.ranker import Ranker
from pyg_irllrec.nn.models.recommendation import Scorer
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_index, check_not_negative, check_triplets
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.normalised_graph import normalised_graph
from pyg_irllrec.utils.ranks import Ranks
from pyg_irllrec.utils.user_items import UserItems


class Recommender(Ranker):
    r"""The combination of a backbone and its graph, which is trained and recommends
    items:

    .. math::
        \mathcal{L} = \mathcal{L}_{\text{ranking}} + \mathcal{L}_{\text{backbone}} +
        \lambda \sum_{\theta} \|\theta\|^2

    Scores are inner products of embeddings. With :obj:`companions`, which are
    closed-form rankers that make different errors, scores are a blend of all rankers,

    .. math::
        s_{ui} = \sum_k w_k \frac{s^{(k)}_{ui} - \text{mean}_j\, s^{(k)}_{uj}}
        {\text{std}_j\, s^{(k)}_{uj}}

    where the first ranker is the graph and :meth:`calibrate` chooses the weights
    :math:`w` (:obj:`blend_weight`). Before that, scores come from the graph only.
    Companions are not used in training.

    The graph and the interactions of companions move with the model, but they are not
    saved with it.
    :class:`~pyg_irllrec.nn.IRLLRec` and :class:`~pyg_irllrec.nn.RLMRecGen` add texts.

    :class:`torch.nn.parallel.DistributedDataParallel` synchronises gradients only if it
    is called itself, which :obj:`ddp.module.loss(triplets)` does not do. To train on
    several GPUs, use :func:`~pyg_irllrec.training.fit`, or wrap a
    :class:`~pyg_irllrec.distributed.DistributedLoss`.

    Args:
        backbone (Backbone): The backbone that embeds the graph.
        edge_index (torch.Tensor or SparseTensor): The undirected user-item graph
            of *training* interactions, users first, in any PyG format; see
            :func:`~pyg_irllrec.utils.bipartite_edge_index`.
        edge_weight (torch.Tensor, optional): The edge weights, if :obj:`edge_index` is
            not a sparse matrix. Missing weights are computed once, by symmetric
            normalisation. (default: :obj:`None`)
        l2_weight (float): :math:`\lambda`. (default: :obj:`1e-6`)
        normalize (bool): Whether to score by cosines, which
            :class:`~pyg_irllrec.nn.SoftmaxLoss` optimises, instead of inner products.
            (default: :obj:`False`)
        ranking (torch.nn.Module, optional): The ranking loss. It takes the embeddings
            of all users :math:`(U, d)`, of all items :math:`(I, d)` and triplets
            :math:`(3, B)`, and returns a scalar. (default: :obj:`None`,
            :meth:`~pyg_irllrec.nn.Backbone.ranking_loss` of the backbone)
        companions (sequence of Ranker): Rankers without parameters to blend with, such
            as :class:`~pyg_irllrec.nn.EASE`. (default: :obj:`()`)

    Raises:
        ValueError: If the graph or an argument is invalid.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import LightGCN, Recommender, SoftmaxLoss
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
        >>> edge_index = bipartite_edge_index(ratings, num_users=3, num_items=3)
        >>> backbone = LightGCN(3, 3, embedding_dim=16)
        >>> model = Recommender(backbone, edge_index, ranking=SoftmaxLoss())
        >>> model.loss(torch.tensor([[0, 1], [0, 1], [2, 0]])).total.backward()
        >>> model.recommend(torch.tensor([0, 1]), k=2, exclude=ratings).item.shape
        torch.Size([2, 2])
    """

    ranks: Optional[Ranks] = None
    edge_index: Tensor
    edge_weight: Tensor
    blend_weight: Optional[Tensor]

    _own_terms: ClassVar[tuple[str, ...]] = ('ranking', 'l2')

    def __init__(
        self,
        backbone: Backbone,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        *,
        l2_weight: float = 1e-6,
        normalize: bool = False,
        ranking: Optional[Module] = None,
        companions: Sequence[Ranker] = (),
    ) -> None:
        if not isinstance(backbone, Backbone):
            raise ValueError(
                f"'backbone' must be a Backbone, got {type(backbone).__name__}: wrap "
                'any other module in ModuleBackbone'
            )
        super().__init__(backbone.num_users, backbone.num_items)
        check_not_negative('l2_weight', l2_weight)
        check_flag('normalize', normalize)
        _check_ranking(ranking)
        _check_companions(companions, backbone)
        self.backbone = backbone
        self.l2_weight = l2_weight
        self.normalize = normalize
        self.ranking = ranking
        self.companions = ModuleList(companions)
        weight = _graph_only(len(companions)) if companions else None
        self.register_buffer('blend_weight', weight)
        edge_index, edge_weight = normalised_graph(
            edge_index, edge_weight, backbone.num_users, backbone.num_items
        )
        self.register_buffer('edge_index', edge_index, persistent=False)
        self.register_buffer('edge_weight', edge_weight, persistent=False)
        if any(is_lazy(weight) for weight in backbone.parameters()):
            with torch.no_grad(), evaluating(backbone):
                self.get_embeddings()  # Initialises lazy modules.

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters, and all options that :meth:`calibrate` has
        chosen. With the same seed, parameters equal those of a new model, except as
        stated in :class:`~pyg_irllrec.nn.ModuleBackbone`."""
        self.backbone.reset_parameters()
        reset(self.ranking)
        reset(self.companions)
        if self.blend_weight is not None:
            self.blend_weight = _graph_only(len(self.companions)).to(self.device)

    @property
    def device(self) -> torch.device:
        r"""The device of the graph."""
        return self.edge_index.device

    def forward(self, edge_label_index: Optional[Tensor] = None) -> Tensor:
        r"""Return the scores of pairs of users and items: the inner products of their
        embeddings, or the scores of the blend.

        Args:
            edge_label_index (torch.Tensor, optional): User and item ids, which start at
                0 for each side, of shape :math:`(2, E)`. (default: :obj:`None`, all
                edges of the graph from users to items, in its order)

        Returns:
            One score per pair, of shape :math:`(E)`.

        Raises:
            ValueError: If an id is out of range.
        """
        if edge_label_index is not None:
            return super().forward(edge_label_index)
        return self.score_pairs(*interactions_of(self))

    def score_pairs(
        self, user: Tensor, item: Tensor, scorer: Optional[Scorer] = None
    ) -> Tensor:
        r"""Return the scores of pairs, without checks."""
        if scorer is not None or self.blends:
            return super().score_pairs(user, item, scorer)
        users, items = self.get_embeddings()
        return (users[user] * items[item]).sum(dim=-1)

    @property
    def blends(self) -> bool:
        r"""Whether a companion has a weight other than 0."""
        return self.blend_weight is not None and bool(self.blend_weight[1:].any())

    def score(self, users: Tensor) -> Tensor:
        r"""Return the scores of all items for a batch of users. For several batches,
        use :meth:`scorer`, which embeds the graph only once.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.

        Raises:
            ValueError: If :obj:`users` contains an invalid id.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        return self.scorer()(users)

    def scorer(self, embeddings: Optional[tuple[Tensor, Tensor]] = None) -> Scorer:
        r"""Return a function that scores batches of users, for which the graph is
        embedded once.

        Args:
            embeddings (tuple, optional): The embeddings of users :math:`(U, d)` and
                items :math:`(I, d)`. (default: :obj:`None`, :meth:`get_embeddings`)
        """
        users, items = self.get_embeddings() if embeddings is None else embeddings
        graph = _inner_products(users, items)
        weight = self.blend_weight
        if weight is None or not self.blends:
            return graph
        scorers = [graph, *(each.scorer() for each in self._rankers())]
        weights = weight.tolist()

        def score(users: Tensor) -> Tensor:
            parts = [
                standardise(scorer(users)) if weight != 0 else None
                for scorer, weight in zip(scorers, weights)
            ]
            return blend(parts, weights)

        return score

    def get_embeddings(self) -> tuple[Tensor, Tensor]:
        r"""Return the final embeddings of users :math:`(U, d)` and items :math:`(I,
        d)`. Call :meth:`eval` first to compute them without dropout."""
        x = self._node_features()
        given = {} if x is None else {'x': x}
        embedding = self.backbone.get_embedding(
            self.edge_index, self.edge_weight, **given
        )
        self.backbone.check_output('embeddings', embedding)
        return self._sides(self._scored(widened(embedding)))

    def _node_features(self) -> Optional[Tensor]:
        r"""Return the features to propagate instead of those of the backbone, if
        any."""
        return None

    def _scored(self, embedding: Tensor) -> Tensor:
        r"""Return the embeddings whose inner products are the scores."""
        return unit_norm(embedding) if self.normalize else embedding

    def loss(
        self,
        triplets: Tensor,
        *,
        update_teacher: bool = True,
        generator: Optional[torch.Generator] = None,
    ) -> LossOutput:
        r"""Return the loss of a batch of triplets.

        Args:
            triplets (torch.Tensor): User, positive item and negative item ids, which
                start at 0 for each side, of shape :math:`(3, B)`.
            update_teacher (bool): Whether to update the momentum teacher first, if
                there is one. This happens in training mode only. With gradient
                accumulation, set it for one batch per optimizer step.
                (default: :obj:`True`)
            generator (torch.Generator, optional): The random number generator of the
                text terms. (default: :obj:`None`, torch's default generator)

        Returns:
            The total loss, and its weighted terms by name, such as :obj:`"ranking"`.

        Raises:
            ValueError: If :obj:`triplets` has another shape or dtype, or an id that is
                out of range.
        """
        check_triplets(triplets, self.num_users, self.num_items)
        # Computed before the teacher's update, as in the authors' code.
        trained = [weight for weight in self.parameters() if weight.requires_grad]
        l2 = self.edge_weight.new_zeros(())
        if trained:
            l2 = sum_of_squares(trained)
        if frozen := self._frozen_in_l2():
            l2 = l2 + sum_of_squares(frozen)
        if self.training and update_teacher:
            self.update_teacher()
        terms = {'l2': self.l2_weight * l2, **self._terms(triplets, generator)}
        for name, term in terms.items():
            if term.dim() != 0:
                raise ValueError(
                    f"'backbone' must return scalar losses, got {name!r} of shape "
                    f'{tuple(term.shape)}'
                )
        return LossOutput(torch.stack(list(terms.values())).sum(), terms)

    def prefetch(self, triplets: Tensor) -> Tensor:
        r"""Start to copy a batch to the device of the model. Call this one batch ahead.

        Args:
            triplets (torch.Tensor): The batch, :math:`(3, B)`.

        Returns:
            The batch on that device, for :meth:`loss`.
        """
        check_triplets(triplets, self.num_users, self.num_items)
        if self.device.type == 'cuda' and triplets.is_cpu:
            triplets = (
                triplets.pin_memory()
            )  # Only copies of pinned memory are asynchronous.
        return triplets.to(self.device, non_blocking=True)

    def update_teacher(self) -> None:
        r"""Update the momentum teacher, if there is one."""

    def _terms(
        self, triplets: Tensor, generator: Optional[torch.Generator]
    ) -> dict[str, Tensor]:
        r"""Return all loss terms except L2."""
        return self._backbone_terms(self._embed_graph(), triplets)

    def _embed_graph(self, x: Optional[Tensor] = None) -> BackboneOutput:
        x = self._node_features() if x is None else x
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
        embedding = self._scored(output.embedding)
        if self.ranking is not None:
            ranking = self.ranking(*self._sides(embedding), triplets)
            if not isinstance(ranking, Tensor) or ranking.dim() != 0:
                raise ValueError(
                    f"'ranking' must return a scalar tensor, got {_shape_of(ranking)}"
                )
        else:
            rows = embedding.index_select(0, batch_nodes(triplets, self.num_users))
            ranking = self.backbone.ranking_loss(*rows.view(*triplets.shape, -1))
        own = self.backbone.auxiliary_loss(output, triplets)
        if taken := own.keys() & set(self._own_terms):
            raise ValueError(
                "'backbone' must not use the names of the model's losses, "
                f'{", ".join(self._own_terms)}, got {", ".join(sorted(taken))}'
            )
        return {'ranking': ranking, **own}

    def _frozen_in_l2(self) -> list[Tensor]:
        r"""Return the tensors that L2 includes in addition to trained parameters."""
        return []

    @property
    def needs_calibration(self) -> bool:
        r"""Whether there are companions, whose weights depend on the embeddings."""
        return len(self.companions) > 0

    def _rankers(self) -> list[Ranker]:
        return [each for each in self.companions if isinstance(each, Ranker)]

    @torch.no_grad()
    def calibrate(
        self,
        label: UserItems,
        exclude: UserItems,
        *,
        k: int = 20,
        progress: bool = False,
    ) -> None:
        r"""Choose :obj:`blend_weight` by Recall@k and NDCG@k on validation, each
        divided by its best value among the single rankers. The search starts at the
        best single ranker and moves towards others while the metrics improve, so that
        rankers that do not help get weight 0. Companions with open options are
        calibrated first. Without companions, this does nothing.

        Args:
            label (UserItems): The interactions held out for validation.
            exclude (UserItems): The interactions to mask, usually those of training.
            k (int): The cut-off, at most the number of items. (default: :obj:`20`)
            progress (bool): Whether to show progress: a bar on a terminal, otherwise
                one line on standard error. (default: :obj:`False`)

        Raises:
            ValueError: If the interactions have other numbers of users or items than
                the model, :obj:`label` is empty, or a score is NaN or infinite.
        """
        self._check_validation(label, exclude, k, progress)
        if self.blend_weight is None:
            return
        uncalibrated = [each for each in self._rankers() if each.needs_calibration]
        parts = [
            f'the options of {type(each).__name__} ({each.num_items} items)'
            for each in uncalibrated
        ]
        note_choosing(' and '.join([*parts, 'the blend']), progress)
        on_terminal = progress and sys.stderr.isatty()
        with evaluating(self):
            scorers = [_inner_products(*self.get_embeddings())]
            for companion in self._rankers():
                if companion.needs_calibration:
                    companion.calibrate(label, exclude, k=k, progress=on_terminal)
                scorers.append(companion.scorer())
            with counting_trials('Blend', progress) as count:

                def measure_blends(weights: list[list[float]]) -> Tensor:
                    def variants(users: Tensor) -> Iterable[Tensor]:
                        parts = [standardise(scorer(users)) for scorer in scorers]
                        return (blend(parts, weight) for weight in weights)

                    sizes = len(weights), label, exclude, k, self.device
                    found = measure(variants, *sizes)
                    count(len(weights))
                    return found

                weight = best_blend(measure_blends, len(scorers))
        self.blend_weight.copy_(torch.tensor(weight))


def _inner_products(user: Tensor, item: Tensor) -> Scorer:
    user, item = at_least_float32(user), at_least_float32(item)

    def score(users: Tensor) -> Tensor:
        # In bfloat16, many scores would tie.
        with torch.autocast(user.device.type, enabled=False):
            return user[users] @ item.t()

    return score


def _graph_only(num_companions: int) -> Tensor:
    return torch.tensor([1.0] + [0.0] * num_companions)


def _check_ranking(ranking: object) -> None:
    if ranking is not None and not isinstance(ranking, Module):
        raise ValueError(
            "'ranking' must be a module such as SoftmaxLoss(), or None, got "
            f'{type(ranking).__name__}'
        )


def _check_companions(companions: object, backbone: Backbone) -> None:
    if not isinstance(companions, (list, tuple)):
        raise ValueError(
            "'companions' must be a list of rankers such as [EASE(...)], got "
            f'{type(companions).__name__}'
        )
    sizes = backbone.num_users, backbone.num_items
    for place, each in enumerate(companions):
        name = f'companions[{place}]'
        if not isinstance(each, Ranker) or any(True for _ in each.parameters()):
            raise ValueError(
                f"'{name}' must be a Ranker without parameters, such as EASE, got "
                f'{type(each).__name__}'
            )
        if (each.num_users, each.num_items) != sizes:
            raise ValueError(
                f"'{name}' must have the {sizes[0]} users and {sizes[1]} items of "
                f"'backbone', got {each.num_users} and {each.num_items}"
            )


def _shape_of(value: object) -> str:
    if isinstance(value, Tensor):
        return f'shape {tuple(value.shape)}'
    return type(value).__name__
