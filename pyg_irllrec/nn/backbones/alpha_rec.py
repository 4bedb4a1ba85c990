from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional import propagate, unit_norm
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional.info_nce import check_temperature, unchecked_info_nce
from pyg_irllrec.nn.backbones.backbone import Backbone, check_triplet_rows
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.embedding_backbone import propagate_layers
from pyg_irllrec.nn.text_projector import TextProjector
from pyg_irllrec.utils.adjacency import bipartite_edge_index, source_and_target
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_count, check_vectors


class AlphaRec(Backbone):
    r"""A backbone that embeds texts instead of ids, from the `"Language Representations
    Can be What Recommenders Need: Findings and Potentials"
    <https://arxiv.org/abs/2407.05441>`_ paper: an MLP maps the texts of items and, for
    each user, the mean text of their items, which are then propagated over the graph:

    .. math::
        \mathbf{t}_u = \frac{1}{|\mathcal{N}(u)|} \sum_{i \in \mathcal{N}(u)}
        \mathbf{t}_i, \qquad \mathbf{E}_0 = \text{MLP}(\mathbf{T}), \qquad
        \mathbf{Z} = n \left( \frac{1}{L + 1} \sum_{l=0}^{L} \hat{\mathbf{A}}^l
        \mathbf{E}_0 \right)

    where :math:`n(\cdot)` scales rows to unit length. Its ranking loss is InfoNCE with
    sampled items instead of BPR: a softmax over the positive item and the negative
    items of all triplets in the batch:

    .. math::
        \ell_b = -\log \frac{\exp(\mathbf{z}_u^{\top} \mathbf{z}_{i^+} / \tau)}
        {\exp(\mathbf{z}_u^{\top} \mathbf{z}_{i^+} / \tau) + \sum_{i^-}
        \exp(\mathbf{z}_u^{\top} \mathbf{z}_{i^-} / \tau)}

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        item_text (torch.Tensor): Text embeddings of items, :math:`(I, D_t)`. They move
            with the model, but they are not saved with it.
        interactions (torch.Tensor): User and item ids of *training* interactions,
            :math:`(2, |\mathcal{E}|)`, from which the texts of users are computed. The
            backbone keeps them, so that held-out interactions among them are detected
            before training.
        embedding_dim (int): The width :math:`d`. (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`2`)
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`. (default: :obj:`None`, inner
            products)
        temperature (float): :math:`\tau`. (default: :obj:`0.15`)
        hidden_channels (int, optional): The width of the hidden layer of the MLP.
            (default: :obj:`None`, half the sum of :math:`D_t` and :math:`d`)
        normalize (bool): Whether the final embeddings have unit length, so that items
            are ranked by cosines. Otherwise they are ranked by inner products, as in
            the authors' code. Training is the same. (default: :obj:`True`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If the texts are invalid or an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import AlphaRec
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
        >>> item_text = torch.randn(3, 24)  # from any text encoder
        >>> backbone = AlphaRec(3, 3, item_text, ratings, embedding_dim=8)
        >>> edge_index = bipartite_edge_index(ratings, num_users=3, num_items=3)
        >>> backbone(edge_index).embedding.shape
        torch.Size([6, 8])
    """

    text: Tensor
    interactions: Tensor

    def __init__(
        self,
        num_users: int,
        num_items: int,
        item_text: Tensor,
        interactions: Tensor,
        embedding_dim: int = 32,
        *,
        num_layers: int = 2,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        temperature: float = 0.15,
        hidden_channels: Optional[int] = None,
        normalize: bool = True,
        impl: str = 'auto',
    ) -> None:
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            impl=impl,
        )
        check_vectors('item_text', item_text, num_items, 'per item')
        check_count('num_layers', num_layers)
        check_temperature('temperature', temperature)
        check_flag('normalize', normalize)
        self.num_layers = num_layers
        self.temperature = temperature
        self.normalize = normalize
        item_text = at_least_float32(item_text.detach())
        graph = bipartite_edge_index(interactions, num_users, num_items)
        text = text_with_users(item_text, graph, num_users)
        self.register_buffer('text', text, persistent=False)
        kept = _interactions(graph, num_users)
        self.register_buffer('interactions', kept, persistent=False)
        self.projector = TextProjector(
            item_text.size(1), embedding_dim, hidden_channels
        )

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters."""
        super().reset_parameters()
        self.projector.reset_parameters()

    def node_features(self) -> Tensor:
        r"""Return the projected texts :math:`\mathbf{E}_0`."""
        features: Tensor = self.projector(self.text)
        return features

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Propagate the projected texts over a normalised graph."""
        weights = [edge_weight] * self.num_layers
        layers = propagate_layers(x, edge_index, weights, self.impl)
        intent = self.interaction_intent(layers[:-1], edge_index)
        total = sum_tensors(layers)
        embedding = unit_norm(total) if self.normalize else total / len(layers)
        return BackboneOutput(embedding, intent)

    def ranking_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        r"""Return the mean softmax loss, with the negative items of the whole batch."""
        check_triplet_rows(user, positive, negative)
        gap = unchecked_info_nce(
            user, positive, negative, temperature=self.temperature, reduction='none'
        )
        return F.softplus(gap).mean()  # Adds the positive item to the denominator.


def text_with_users(item_text: Tensor, graph: Tensor, num_users: int) -> Tensor:
    r"""Return the texts of users, which are the means of their items' texts, and of
    items."""
    no_text = item_text.new_zeros(num_users, item_text.size(1))
    total = propagate(torch.cat([no_text, item_text]), graph)[:num_users]
    _, target = source_and_target(graph)
    count = torch.bincount(target, minlength=len(no_text))[:num_users].clamp_(min=1)
    return torch.cat([total / count.unsqueeze(1), item_text])


def _interactions(graph: Tensor, num_users: int) -> Tensor:
    r"""Return the pairs of user and item ids in a graph, each once."""
    source, target = source_and_target(graph)
    rates = source < num_users
    return torch.stack([source[rates], target[rates] - num_users])
