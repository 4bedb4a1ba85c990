from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.init import xavier_uniform_
from torch_geometric.typing import Adj

from pyg_irllrec.functional._shared_info_nce import shared_info_nce
from pyg_irllrec.functional.info_nce import IMPLEMENTATIONS, check_temperature
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.models.ranker import Ranker
from pyg_irllrec.nn.models.recommender import Recommender
from pyg_irllrec.nn.text_projector import TextProjector
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_not_negative,
    check_vectors,
    is_number,
)


class RLMRecGen(Recommender):
    r"""A graph recommender that is also trained to reconstruct the texts of masked
    nodes, from the `"Representation Learning with Large Language Models for
    Recommendation" <https://arxiv.org/abs/2310.15950>`_ paper (RLMRec-Gen, generative
    alignment). In each step, a learned token replaces the features of some nodes
    :math:`\mathcal{M}`. An MLP maps their embeddings, which come from their neighbours,
    to the width of the texts, and InfoNCE contrasts them with the texts of all masked
    nodes:

    .. math::
        \mathcal{L} = \mathcal{L}_{\text{ranking}} + \mathcal{L}_{\text{backbone}} +
        \frac{w}{|\mathcal{M}|} \sum_{k \in \mathcal{M}} -\log
        \frac{\exp(\cos(\text{MLP}(\mathbf{z}_k), \mathbf{t}_k) / \tau)}
        {\sum_{c \in \mathcal{M}} \exp(\cos(\text{MLP}(\mathbf{z}_k), \mathbf{t}_c) /
        \tau)} + \lambda \sum_{\theta} \|\theta\|^2

    In evaluation mode, no node is masked and :meth:`loss` has no text term. The name of
    the text term is :obj:`"reconstruction"`.

    Args:
        backbone (Backbone): The backbone that embeds the graph. It must have node
            features, which can be masked.
        edge_index (torch.Tensor or SparseTensor): The undirected user-item graph
            of *training* interactions, see :class:`~pyg_irllrec.nn.Recommender`.
        edge_weight (torch.Tensor, optional): The edge weights. (default: :obj:`None`)
        profile (torch.Tensor): Text embeddings of profiles, users first,
            :math:`(|\mathcal{V}|, D_t)`.
        mask_ratio (float): The share of nodes to mask; at least one node is masked.
            (default: :obj:`0.1`)
        weight (float): :math:`w`. (default: :obj:`0.1`)
        temperature (float): :math:`\tau`. (default: :obj:`0.2`)
        max_rows (int, optional): The maximum number of masked nodes in the text term,
            sampled in each step, because its cost grows with their square; :obj:`None`
            for all. (default: :obj:`4096`)
        impl (str): The implementation of the text term, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)
        l2_weight (float): :math:`\lambda`. (default: :obj:`1e-6`)
        ranking (torch.nn.Module, optional): The ranking loss, see
            :class:`~pyg_irllrec.nn.Recommender`. (default: :obj:`None`, the ranking
            loss of the backbone)
        companions (sequence of Ranker): Rankers to blend with, see
            :class:`~pyg_irllrec.nn.Recommender`. (default: :obj:`()`)

    Raises:
        ValueError: If the graph, the texts, the backbone or an argument is invalid.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import LightGCN, RLMRecGen
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
        >>> edge_index = bipartite_edge_index(ratings, num_users=3, num_items=3)
        >>> profile = torch.randn(6, 24)  # users first
        >>> model = RLMRecGen(LightGCN(3, 3), edge_index, profile=profile)
        >>> list(model.loss(torch.tensor([[0, 1], [0, 1], [2, 0]])).terms)
        ['l2', 'ranking', 'reconstruction']
    """

    profile: Tensor

    _own_terms = (*Recommender._own_terms, 'reconstruction')

    def __init__(
        self,
        backbone: Backbone,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        *,
        profile: Tensor,
        mask_ratio: float = 0.1,
        weight: float = 0.1,
        temperature: float = 0.2,
        max_rows: Optional[int] = 4096,
        impl: str = 'auto',
        l2_weight: float = 1e-6,
        ranking: Optional[Module] = None,
        companions: Sequence[Ranker] = (),
    ) -> None:
        super().__init__(
            *(backbone, edge_index, edge_weight),
            l2_weight=l2_weight,
            ranking=ranking,
            companions=companions,
        )
        check_vectors('profile', profile, backbone.num_nodes)
        check_not_negative('weight', weight)
        check_temperature('temperature', temperature)
        if max_rows is not None:
            check_count('max_rows', max_rows)
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        if not is_number(mask_ratio) or not 0 < mask_ratio <= 1:
            raise ValueError(
                f"'mask_ratio' must be above 0 and at most 1, got {mask_ratio!r}"
            )
        features = backbone.node_features()
        if features is None:
            raise ValueError(
                "'backbone' must have node features that can be masked, got "
                f'{type(backbone).__name__}, whose node_features() is None'
            )
        self.mask_ratio = mask_ratio
        self.weight = weight
        self.temperature = temperature
        self.max_rows = max_rows
        self.impl = impl
        self.register_buffer('profile', profile, persistent=False)
        self.mask_token = Parameter(torch.empty(1, features.size(1)))
        xavier_uniform_(self.mask_token)
        self.reconstructor = TextProjector(backbone.embedding_dim, profile.size(1))

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters, including those of the text term."""
        super().reset_parameters()
        xavier_uniform_(self.mask_token)
        self.reconstructor.reset_parameters()

    def _terms(
        self, triplets: Tensor, generator: Optional[torch.Generator]
    ) -> dict[str, Tensor]:
        if not self.training:
            return super()._terms(triplets, generator)
        features = self.backbone.node_features()
        assert features is not None
        num_nodes = features.size(0)
        count = max(int(num_nodes * self.mask_ratio), 1)
        device = features.device
        order = torch.randperm(num_nodes, device=device, generator=generator)
        masked = order[:count]
        token = self.mask_token.to(features.dtype).expand(count, -1)
        output = self._embed_graph(features.index_copy(0, masked, token))
        counted = masked[: self.max_rows]  # They are in random order.
        loss = shared_info_nce(
            self.ranks,
            self.reconstructor(output.embedding[counted]),
            self.profile[counted].to(output.embedding.dtype),
            temperature=self.temperature,
            impl=self.impl,
        )
        return {
            **self._backbone_terms(output, triplets),
            'reconstruction': self.weight * loss,
        }
