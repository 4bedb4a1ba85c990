from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.nn.inits import reset
from torch_geometric.typing import Adj

from pyg_irllrec.nn._sent_rows import RowSender, SentRows, receive
from pyg_irllrec.nn._text_storage import (
    TEXT_STORAGES,
    move_text,
    project_all,
    store_text,
)
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.feature_map import FeatureMap
from pyg_irllrec.nn.loss import IntentAlignmentLoss
from pyg_irllrec.nn.loss._batch import batch_nodes
from pyg_irllrec.nn.models.cluster_texts import cluster_texts
from pyg_irllrec.nn.models.ranker import Ranker
from pyg_irllrec.nn.models.recommender import Recommender
from pyg_irllrec.nn.momentum_encoder import MomentumEncoder
from pyg_irllrec.nn.text_projector import TextProjector
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_not_negative,
    check_vectors,
)

_NEEDS_INTENTS = (
    "'intent' texts need a backbone that computes intents, got one without: use "
    'LightGCN(..., num_intents=128) or alignment=IntentAlignmentLoss(intent_weight=0)'
)
_TEXTS = ('profile', 'intent', 'features')


class IRLLRec(Recommender):
    r"""A graph recommender that aligns its latent intents with intents that a language
    model wrote, from the `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper. It adds text towers and
    alignment to any backbone:

    .. math::
        \mathcal{L} = \mathcal{L}_{\text{ranking}} + \mathcal{L}_{\text{alignment}} +
        \mathcal{L}_{\text{backbone}} + \lambda \sum_{\theta} \|\theta\|^2

    The texts determine the alignment: without texts, the plain backbone is trained;
    with profiles, RLMRec-Con; with profiles and intents, the whole method, or only its
    pairwise alignment with :obj:`IntentAlignmentLoss(translation_weight=0,
    matching_weight=0)`. The terms of the texts in :meth:`loss` are :obj:`"profile"`,
    :obj:`"intent"`, :obj:`"translation"`, :obj:`"matching"` and :obj:`"prototype"`.

    The graph and the text embeddings move with the model, but they are not saved with
    it.

    Args:
        backbone (Backbone): The backbone that embeds the graph.
        edge_index (torch.Tensor or SparseTensor): The undirected graph of *training*
            interactions, see :class:`~pyg_irllrec.nn.Recommender`.
        edge_weight (torch.Tensor, optional): The edge weights. (default: :obj:`None`)
        profile (torch.Tensor, optional): Text embeddings of profiles, users
            first, :math:`(|\mathcal{V}|, D_t)`. (default: :obj:`None`)
        intent (torch.Tensor, optional): Text embeddings of intents, in the same form.
            (default: :obj:`None`)
        alignment (IntentAlignmentLoss, optional): The alignment losses and their
            weights. (default: :obj:`None`, the defaults of
            :class:`~pyg_irllrec.nn.IntentAlignmentLoss`)
        momentum (float): The momentum of the intent tower's teacher.
            (default: :obj:`0.999`)
        l2_weight (float): :math:`\lambda`. (default: :obj:`1e-6`)
        l2_teacher (bool): Whether the L2 term includes the frozen teacher, as in the
            authors' code. The teacher has no gradient, so this only changes the value
            of the loss. (default: :obj:`False`)
        prototype_weight (float): The weight of
            :meth:`~pyg_irllrec.nn.Backbone.prototype_loss`, which makes each intent
            prototype represent a cluster of texts. Users and items share the clusters,
            which k-means finds among the texts of nodes and their neighbours, and which
            are saved with the model. Use it with a backbone that has an
            :obj:`intent_temperature`, such as 0.1. (default: :obj:`0.0`, no such term)
        features (torch.Tensor, optional): Text embeddings to propagate over the graph,
            in the same form. A trained linear map adds them to the node features of the
            backbone. They work best whitened and with 64 to 128 dimensions, see
            :class:`~pyg_irllrec.transforms.ReduceText`. (default: :obj:`None`)
        normalize (bool): Whether to score by cosines, see
            :class:`~pyg_irllrec.nn.Recommender`. (default: :obj:`False`)
        ranking (torch.nn.Module, optional): The ranking loss, see
            :class:`~pyg_irllrec.nn.Recommender`. (default: :obj:`None`, the ranking
            loss of the backbone)
        companions (sequence of Ranker): Rankers to blend with, see
            :class:`~pyg_irllrec.nn.Recommender`. (default: :obj:`()`)
        text_storage (str): Where the texts are stored, and in which dtype.
            (default: :obj:`"device"`)

            - :obj:`"device"`: on the device of the model, in their own dtype.
            - :obj:`"half"`: on the device of the model, in :obj:`bfloat16`, which takes
              half the memory of :obj:`float32`. Each number changes by at most 0.4 %.
            - :obj:`"host"`: on the CPU. Each batch sends the rows that it reads to the
              device, in advance if :meth:`prefetch` is called, as
              :func:`~pyg_irllrec.training.fit` does. Terms that read all texts
              (:obj:`features`, translation, matching, and :obj:`"all"` negatives) send
              them in chunks, and again in the backward pass.

            With :obj:`"half"` and :obj:`"host"`, terms that read all texts do so in
            chunks of 32 768 rows, and only one chunk takes memory at a time. The
            results of :obj:`"host"` equal those of :obj:`"device"`, up to rounding if
            there are several chunks.

    Raises:
        ValueError: If the graph, the texts or an argument is invalid.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import IRLLRec, LightGCN
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
        >>> edge_index = bipartite_edge_index(ratings, num_users=3, num_items=3)
        >>> profile, intent = torch.randn(6, 24), torch.randn(6, 24)  # users first
        >>> backbone = LightGCN(3, 3, embedding_dim=16, num_intents=4)
        >>> model = IRLLRec(backbone, edge_index, profile=profile, intent=intent)
        >>> loss = model.loss(torch.tensor([[0, 1], [0, 1], [2, 0]]))
        >>> list(loss.terms)
        ['l2', 'ranking', 'profile', 'intent', 'translation', 'matching']
        >>> model.recommend(torch.tensor([0, 1]), k=1, exclude=ratings).item.shape
        torch.Size([2, 1])
    """

    profile: Optional[Tensor]
    intent: Optional[Tensor]
    cluster: Optional[Tensor]
    features: Optional[Tensor]

    _own_terms = (
        *Recommender._own_terms,
        'profile',
        'intent',
        'translation',
        'matching',
        'prototype',
    )

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
        prototype_weight: float = 0.0,
        features: Optional[Tensor] = None,
        normalize: bool = False,
        ranking: Optional[Module] = None,
        companions: Sequence[Ranker] = (),
        text_storage: str = 'device',
    ) -> None:
        check_choice('text_storage', text_storage, TEXT_STORAGES)
        super().__init__(
            *(backbone, edge_index, edge_weight),
            l2_weight=l2_weight,
            normalize=normalize,
            ranking=ranking,
            companions=companions,
        )
        given = {'profile': profile, 'intent': intent, 'features': features}
        texts = {name: each for name, each in given.items() if each is not None}
        for name, each in texts.items():
            check_vectors(name, each, backbone.num_nodes)
        alignment = IntentAlignmentLoss() if alignment is None else alignment
        if not isinstance(alignment, IntentAlignmentLoss):
            raise ValueError(
                "'alignment' must be an IntentAlignmentLoss, got "
                f'{type(alignment).__name__}'
            )
        reads_intents = intent is not None and alignment.weights['intent'] > 0
        if reads_intents and not backbone.has_intents:
            raise ValueError(_NEEDS_INTENTS)
        self.alignment = alignment
        check_not_negative('prototype_weight', prototype_weight)
        self.prototype_weight = prototype_weight
        check_flag('l2_teacher', l2_teacher)
        self.l2_teacher = l2_teacher
        self.text_storage = text_storage
        self._sender = RowSender()
        for name in _TEXTS:
            text = texts.get(name)
            kept = None if text is None else store_text(text, text_storage)
            self.register_buffer(name, kept, persistent=False)

        dim = backbone.embedding_dim
        self.feature_map: Optional[FeatureMap] = None
        if features is not None:
            if backbone.node_features() is None:
                raise ValueError(
                    "'features' must be None for a backbone without node features, got "
                    f'features for {type(backbone).__name__}, whose node_features() is '
                    'None'
                )
            self.feature_map = FeatureMap(features.size(1), dim)
        self.profile_projector: Optional[TextProjector] = None
        self.intent_projector: Optional[MomentumEncoder] = None
        if profile is not None:
            self.profile_projector = TextProjector(profile.size(1), dim)
        if intent is not None:
            projector = TextProjector(intent.size(1), dim)
            self.intent_projector = MomentumEncoder(projector, momentum)
        self.register_buffer('cluster', self._cluster(list(texts.values())))

    def _cluster(self, texts: list[Tensor]) -> Optional[Tensor]:
        r"""Return the clusters for the prototype loss, or :obj:`None` without this
        loss."""
        if self.prototype_weight == 0:
            return None
        if not texts or self.backbone.num_intents == 0:
            raise ValueError(
                "'prototype_weight' above 0 needs texts and a backbone with "
                f'prototypes, got {len(texts)} texts and '
                f"num_intents={self.backbone.num_intents}: pass 'profile', 'intent' or "
                "'features', and a backbone such as LightGCN(..., num_intents=16, "
                'intent_temperature=0.1)'
            )
        device = texts[0].device
        graph = self.edge_index.to(device), self.edge_weight.to(device)
        cluster = cluster_texts(
            *(texts, self.num_users, *graph), num_clusters=self.backbone.num_intents
        )
        return cluster.to(self.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> IRLLRec:
        r"""Move the model, but store the texts as :obj:`text_storage` requires."""
        held = {name: self._buffers[name] for name in _TEXTS}
        if self.text_storage == 'device':
            held = {}
        self._buffers.update(dict.fromkeys(held))
        try:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        finally:
            self._buffers.update(held)
        for name, text in held.items():
            if text is not None:
                self._buffers[name] = move_text(
                    text, fn, self.text_storage, self.device
                )
        return self

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters, including those of the text towers. The
        teacher becomes an exact copy again."""
        super().reset_parameters()
        for module in (
            self.feature_map,
            self.profile_projector,
            self.intent_projector,
            self.alignment,
        ):
            reset(module)

    def _node_features(self) -> Optional[Tensor]:
        # The map does not exist yet when lazy modules are initialised.
        feature_map = self._modules.get('feature_map')
        if feature_map is None:
            return None
        x = self.backbone.node_features()
        assert x is not None
        assert self.features is not None
        added = self._project_all(feature_map, self.features)
        return x + added.to(x.dtype)

    def prefetch(self, triplets: Tensor) -> Tensor:
        r"""Start to copy a batch to the device of the model and, if texts are stored on
        the host, the rows that the batch reads. Call this one batch ahead.

        Args:
            triplets (torch.Tensor): The batch, :math:`(3, B)`.

        Returns:
            The batch on that device, for :meth:`loss`.
        """
        sent = super().prefetch(triplets)
        if self._sends_rows(sent):
            self._sender.send_ahead(*self._to_send(triplets.cpu()), sent)
        return sent

    def _sends_rows(self, triplets: Tensor) -> bool:
        r"""Whether pairwise terms read text rows from the host."""
        return (
            self.text_storage == 'host'
            and not triplets.is_cpu
            and self.alignment.reads_batch_only()
        )

    def _to_send(self, triplets: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        r"""Return the texts that a batch reads rows of, and its nodes."""
        texts = {}
        if self._reads_profiles():
            texts['profile'] = self.profile
        if self._reads_intents() and not self.alignment.needs_all_intents():
            texts['intent'] = self.intent
        found = {name: text for name, text in texts.items() if text is not None}
        return found, batch_nodes(triplets, self.num_users)

    def update_teacher(self) -> None:
        r"""Update the teacher of the intent tower, if a term reads it."""
        if self._reads_intents():
            assert self.intent_projector is not None
            self.intent_projector.update()

    def _terms(
        self, triplets: Tensor, generator: Optional[torch.Generator]
    ) -> dict[str, Tensor]:
        output = self._embed_graph()
        weights = self.alignment.weights
        profile = text_intent = teacher_intent = None
        sent = self._receive_rows(triplets)
        if self._reads_profiles():
            profile = self._project('profile', triplets, sent)
        if self._reads_intents():
            if self.alignment.needs_all_intents():
                text_intent, teacher_intent = self._all_intents()
            else:
                text_intent = self._project('intent', triplets, sent)
            if weights['intent'] > 0 and output.interaction_intent is None:
                raise ValueError(_NEEDS_INTENTS)
        alignment = self.alignment(
            output.embedding,
            triplets,
            self.num_users,
            profile=profile,
            interaction_intent=output.interaction_intent,
            text_intent=text_intent,
            teacher_intent=teacher_intent,
            generator=generator,
        )
        terms = {**self._backbone_terms(output, triplets), **alignment.terms}
        if self.cluster is not None:
            loss = self.backbone.prototype_loss(output.embedding, self.cluster)
            terms['prototype'] = self.prototype_weight * loss
        return terms

    def _reads_intents(self) -> bool:
        if self.intent_projector is None:
            return False
        weights = self.alignment.weights
        return weights['intent'] > 0 or self.alignment.needs_all_intents()

    def _all_intents(self) -> tuple[Tensor, Optional[Tensor]]:
        r"""Return the projected intents of all nodes, and those of the teacher if a
        term reads them."""
        tower = self.intent_projector
        assert tower is not None and self.intent is not None
        if self.alignment.weights['matching'] == 0:
            return self._project_all(tower, self.intent), None
        if self.text_storage == 'device':
            student = self._project_all(tower, self.intent)
            return student, self._project_all(tower.teach, self.intent)

        def both(text: Tensor) -> Tensor:  # Reads each chunk of a text once.
            return torch.cat([tower(text), tower.teach(text)], dim=1)

        student, teacher = self._project_all(both, self.intent).chunk(2, dim=1)
        return student.contiguous(), teacher.contiguous()

    def _reads_profiles(self) -> bool:
        return self.profile_projector is not None and (
            self.alignment.weights['profile'] > 0
        )

    def _receive_rows(self, triplets: Tensor) -> Optional[SentRows]:
        r"""Return the text rows that a batch reads, if they come from the host."""
        if not self._sends_rows(triplets):
            return None
        sent = self._sender.find(triplets)
        if sent is None:  # prefetch() was not called.
            sent = self._sender.send(*self._to_send(triplets.cpu()), triplets)
        return receive(sent)

    def _project(self, name: str, triplets: Tensor, sent: Optional[SentRows]) -> Tensor:
        r"""Return the projected texts for pairwise terms: those of the nodes in a
        batch, :math:`(3, B, d)`, if these suffice, because towers are the most
        expensive part of a step."""
        projector = getattr(self, f'{name}_projector')
        text: Tensor = getattr(self, name)
        rows: Tensor
        if not self.alignment.reads_batch_only():
            return self._project_all(projector, text)
        nodes = batch_nodes(triplets, self.num_users)
        if sent is not None:
            rows = self._share(projector, sent.rows[name]).index_select(0, sent.places)
        elif nodes.is_cpu and not torch.compiler.is_compiling():
            nodes, places = nodes.unique(return_inverse=True)
            rows = self._share(projector, text[nodes]).index_select(0, places)
        elif nodes.numel() < text.size(0):
            # Not unique(): shapes must not depend on data here.
            rows = self._share(projector, text[nodes])
        else:
            rows = self._project_all(projector, text).index_select(0, nodes)
        return rows.view(*triplets.shape, -1)

    def _project_all(
        self, projector: Callable[..., Any], text: Optional[Tensor]
    ) -> Tensor:
        assert text is not None

        def project(text: Tensor) -> Tensor:
            return project_all(projector, text, self.text_storage, self.device)

        return self._share(project, text)

    def _share(self, project: Callable[..., Any], text: Tensor) -> Tensor:
        r"""Return the output of a tower. Each rank computes a share of the rows and
        sends it to the others, which is cheaper than computing all rows."""
        ranks = self.ranks
        out: Tensor
        if ranks is None:
            out = project(text)
        else:
            size = text.size(0)
            out = ranks.gather(project(text[ranks.rows(size)]), size)
        return out

    def _frozen_in_l2(self) -> list[Tensor]:
        if self.l2_teacher and self.intent_projector is not None:
            return list(self.intent_projector.teacher.buffers())
        return []
