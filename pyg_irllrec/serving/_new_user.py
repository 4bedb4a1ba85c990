r"""Scores for a user who is not in the model."""

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


_TEXT_WEIGHT = 2  # A text counts as much as so many items.


@torch.no_grad()
def new_user_scores(bundle: Bundle, items: Tensor, text: Optional[str]) -> Tensor:
    r"""Score all items for a new user with distinct items, a text or both, of shape
    :math:`(1, I)`. For both, the standardised scores are averaged, so that the weight
    of a text does not depend on the weights of the blend.

    Raises:
        ValueError: If both are missing, or the model cannot use them.
    """
    if items.numel() == 0 and text is None:
        raise ValueError(
            "'items' must hold at least one id if there is no 'text', got none"
        )
    if text is None:
        return _scores_of_items(bundle, items)
    by_text = _scores_of_embedding(bundle, _embed_text(bundle, text))
    if items.numel() == 0:
        return by_text
    by_items = _scores_of_items(bundle, items)
    share = items.numel() / (items.numel() + _TEXT_WEIGHT)
    both = [standardise(by_items), standardise(by_text)]
    return blend(both, [share, 1 - share])


def _scores_of_items(bundle: Bundle, items: Tensor) -> Tensor:
    r"""The scores for a new user with these items, blended as for a known user."""
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
    r"""The embedding of a new user with distinct items, of shape :math:`(1, d)`:

    .. math::
        \mathbf{z}_u = \sum_{i \in \mathcal{N}} \frac{1}{\sqrt{|\mathcal{N}| (d_i + 1)}}
        \sum_{l=0}^{L-1} \mathbf{E}_{l, i}

    This is the embedding that :class:`~pyg_irllrec.nn.LightGCN` and backbones like it
    compute for a new node whose own table row is zero, if the embeddings of items do
    not change. In fact they change a little, and less for items with many users. For
    other backbones, the final embedding of the item replaces the sum over layers.
    """
    message, degree = messages_of(bundle)
    weight = (items.numel() * (degree[items] + 1)).to(message.dtype).rsqrt()
    return (weight @ message[items]).unsqueeze(0)


def _embed_text(bundle: Bundle, text: str) -> Tensor:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"'text' must be a non-empty string, got {text!r:.100}")
    if bundle.encoder is None:
        raise ValueError(
            "'text' needs a bundle with a text encoder. Make one with Bundle(..., "
            'encoder=encoder)'
        )
    vector = encoded(bundle.encoder, [text], bundle.ranker.tower.width('user'))
    if not vector.any():
        raise ValueError(
            "'text' must have words that occur in the texts of users, got "
            f'{text[:100]!r}'
        )
    return bundle.ranker.tower.users(vector.to(bundle.ranker.device))


def _companion_scores(companion: object, items: Tensor) -> Tensor:
    if not isinstance(companion, ClosedForm):
        raise ValueError(
            "'items' of a new user can be scored only by the companions EASE, ItemKNN "
            f'and Popularity, but this model has {type(companion).__name__}. Pass '
            "'text' without 'items'"
        )
    return companion.score_items(items)


@torch.no_grad()
def _messages(bundle: Bundle) -> tuple[Tensor, Tensor]:
    r"""The message of each item to its users, of shape :math:`(I, d)`, and its
    degree."""
    model = bundle.model
    source, target = source_and_target(model.edge_index)
    to_item = target[source < model.num_users].long() - model.num_users
    degree = torch.bincount(to_item, minlength=model.num_items)
    with evaluating(model):
        message = _item_layers(model)
    # An item without interactions has only the embedding predicted from its text.
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
    r"""Whether the backbone sums layers, each a product of the last with the graph."""
    if not isinstance(backbone, EmbeddingBackbone):
        return False
    cls = type(backbone)
    linear = (EmbeddingBackbone.layers, LightGCN.layers)
    return getattr(cls.encode, 'sums_layers', False) and cls.layers in linear
