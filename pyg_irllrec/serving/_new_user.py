r"""Scores for somebody who is not among the users of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.nn import EmbeddingBackbone, LightGCN, Recommender
from pyg_irllrec.nn.baselines._closed_form import ClosedForm
from pyg_irllrec.nn.models._blend import blend, standardise
from pyg_irllrec.serving._encoded import encoded
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.evaluating import evaluating

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle


_LIKE_ITEMS = 2  # How many items a text counts as much as.


@torch.no_grad()
def new_user_scores(bundle: Bundle, items: Tensor, text: Optional[str]) -> Tensor:
    r"""The scores of all items for somebody of distinct items, of a text or of both,
    of shape :math:`(1, I)`. Of both, the standardised scores are mixed, so that a text
    counts whatever part of the model has the largest weight.

    Raises:
        ValueError: If there is neither, or the model cannot read it.
    """
    if items.numel() == 0 and text is None:
        raise ValueError(
            "'items' must hold at least one id where there is no 'text', got none"
        )
    if text is None:
        return _scores_of_items(bundle, items)
    by_text = _scores_of_embedding(bundle, _embed_text(bundle, text))
    if items.numel() == 0:
        return by_text
    by_items = _scores_of_items(bundle, items)
    share = items.numel() / (items.numel() + _LIKE_ITEMS)
    both = [standardise(by_items), standardise(by_text)]
    return blend(both, [share, 1 - share])


def _scores_of_items(bundle: Bundle, items: Tensor) -> Tensor:
    r"""The scores for somebody of these items, standardised and blended as those of
    users are."""
    model = bundle.model
    score = _scores_of_embedding(bundle, fold_in(bundle, items))
    if not model.blends:
        return score
    assert model.blend_weight is not None
    scores = [score, *(_companion_scores(each, items) for each in model.companions)]
    blended = blend([standardise(each) for each in scores], model.blend_weight.tolist())
    return bundle.ranker.with_texts(blended)


def _scores_of_embedding(bundle: Bundle, embedding: Tensor) -> Tensor:
    if bundle.model.normalize:
        embedding = unit_norm(embedding)
    return embedding @ bundle.ranker.item_embedding.t()


def fold_in(bundle: Bundle, items: Tensor) -> Tensor:
    r"""The embedding of a new user of distinct items, of shape :math:`(1, d)`:

    .. math::
        \mathbf{z}_u = \sum_{i \in \mathcal{N}} \frac{1}{\sqrt{|\mathcal{N}| (d_i + 1)}}
        \sum_{l=0}^{L-1} \mathbf{E}_{l, i}

    This is what :class:`~pyg_irllrec.nn.LightGCN` and its kin give a node that joins
    the graph without an embedding of its own, if the embeddings of items stay as they
    are. They would move a little, an item the less the more users it has. For other
    backbones the sum over layers is the final embedding of the item.
    """
    message, degree = messages_of(bundle)
    weight = (items.numel() * (degree[items] + 1)).to(message.dtype).rsqrt()
    return (weight @ message[items]).unsqueeze(0)


def _embed_text(bundle: Bundle, text: str) -> Tensor:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"'text' must be a text, got {text!r:.100}")
    if bundle.encoder is None:
        raise ValueError(
            "'text' needs a bundle with the encoder of its texts: Bundle(..., "
            'encoder=encoder)'
        )
    vector = encoded(bundle.encoder, [text], bundle.ranker.tower.width('user'))
    if not vector.any():
        raise ValueError(
            f"'text' must hold words that the texts of users hold, got {text[:100]!r}"
        )
    return bundle.ranker.tower.users(vector.to(bundle.ranker.device))


def _companion_scores(companion: object, items: Tensor) -> Tensor:
    if not isinstance(companion, ClosedForm):
        raise ValueError(
            "'items' of somebody new are scored by EASE, ItemKNN and Popularity alone, "
            f"and this model blends with {type(companion).__name__}: give 'text' "
            'without items'
        )
    return companion.score_items(items)


@torch.no_grad()
def _messages(bundle: Bundle) -> tuple[Tensor, Tensor]:
    r"""What an item sends to its users, of shape :math:`(I, d)`, and its degree."""
    model = bundle.model
    source, target = source_and_target(model.edge_index)
    to_item = target[source < model.num_users].long() - model.num_users
    degree = torch.bincount(to_item, minlength=model.num_items)
    with evaluating(model):
        message = _item_layers(model)
    # An item that nobody has chosen has learned nothing but from its text.
    embedding = bundle.ranker.item_embedding.to(message.dtype)
    return message.where(degree.unsqueeze(1) > 0, embedding), degree


messages_of = PerBundle(_messages)


def _item_layers(model: Recommender) -> Tensor:
    backbone = model.backbone
    if not _is_linear(backbone):
        return model.get_embeddings()[1]
    assert isinstance(backbone, EmbeddingBackbone)
    x = model._node_features()
    x = backbone.node_features() if x is None else x
    graph = backbone.normalise(model.edge_index, model.edge_weight, x.dtype)
    layers = backbone.layers(x, *graph)
    return sum_tensors([layer[model.num_users :] for layer in layers[:-1]])


def _is_linear(backbone: object) -> bool:
    r"""Whether embeddings are sums of layers, and layers products with the graph."""
    if not isinstance(backbone, EmbeddingBackbone):
        return False
    cls = type(backbone)
    linear = (EmbeddingBackbone.layers, LightGCN.layers)
    return getattr(cls.encode, 'sums_layers', False) and cls.layers in linear
