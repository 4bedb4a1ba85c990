r"""Growth of a trained model by interactions, users and items, without training."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.nn import EmbeddingBackbone, Recommender
from pyg_irllrec.nn.backbones.alpha_rec import text_with_users
from pyg_irllrec.nn.models._own_interactions import interactions_of
from pyg_irllrec.serving._model_config import (
    OwnPartError,
    build_model,
    model_config,
    model_tensors,
)
from pyg_irllrec.serving._text_tower import MIN_ROWS, TextRidge, trained_rows
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils.adjacency import (
    bipartite_edge_index,
    plain_edge_index,
    symmetric_norm,
)
from pyg_irllrec.utils.normalised_graph import normalised_graph


class _Growth(NamedTuple):
    r"""The additions to a model."""

    sizes: tuple[int, int]
    """The numbers of users and items in the old model."""
    added: tuple[int, int]
    """The numbers of new users and items."""
    pairs: Tensor
    """The new interactions, of shape :math:`(2, E)`."""
    text: tuple[Optional[Tensor], Optional[Tensor]]
    """The text vectors of all users and of all items, new nodes last."""

    def new_text(self, side: int, like: Tensor) -> Tensor:
        r"""The text vectors of new users (0) or items (1); zeros if there are none."""
        text = self.text[side]
        if text is None or text.size(1) != like.size(1):
            return _zeros(like, self.added[side])
        return text[self.sizes[side] :].to(like)


@torch.no_grad()
def grow_model(model: Recommender, data: HeteroData, pairs: Tensor) -> Recommender:
    r"""Return a model with all nodes of :obj:`data`, new nodes last, and with the new
    interactions :obj:`pairs`. Trained weights do not change. A ridge regression
    predicts the table row of a new node from its text; without a text the row is zero.
    Companions are solved again when they next score.

    Raises:
        ValueError: If the model has a part that is not from this package, or edge
            weights of its own.
    """
    sizes = model.num_users, model.num_items
    now = [int(data[side].num_nodes) for side in SIDES]
    growth = _Growth(
        sizes,
        (now[0] - sizes[0], now[1] - sizes[1]),
        pairs,
        (data['user'].get('profile'), data['item'].get('profile')),
    )
    tensors = {
        name: value
        for name, value in model_tensors(model).items()
        if not name.startswith('solution.')
    }
    try:
        config = model_config(model, tensors)
    except OwnPartError as error:
        raise ValueError(
            "'interactions' can be folded only into a model whose parts are from this "
            f'package, but {error}. Build and train a model on all interactions instead'
        ) from None
    grown = {name: _grow(name, each, growth) for name, each in tensors.items()}
    grown |= _grow_graph(model, tensors, growth)
    new = build_model(_grow_config(config, growth.added), grown)
    _fill_tables(model, new, growth)
    _fill_clusters(new, growth)
    return new.to(model.device)


def _grow(name: str, value: Tensor, growth: _Growth) -> Tensor:
    r"""Add rows for new nodes to a weight or buffer, according to its name."""
    num_users, num_items = growth.sizes
    new_users, new_items = growth.added
    last = name.rpartition('.')[2]
    if name.endswith('user_embedding.weight'):
        return _insert(value, num_users, _zeros(value, new_users))
    if name.endswith('item_embedding.weight'):
        return _insert(value, num_items, _zeros(value, new_items))
    if name == 'profile':
        value = _insert(value, num_users, growth.new_text(0, value))
        return torch.cat([value, growth.new_text(1, value)])
    if name in ('intent', 'features', 'cluster'):
        value = _insert(value, num_users, _zeros(value, new_users))
        return torch.cat([value, _zeros(value, new_items)])
    if last == 'item_text':
        return torch.cat([value, unit_norm(growth.new_text(1, value))])
    if last in ('interactions', 'known'):
        return merge_pairs(value, growth.pairs)
    if last == 'popularity':
        counts = torch.cat([value, _zeros(value, new_items)])
        return counts + torch.bincount(growth.pairs[1], minlength=len(counts))
    if last == 'sample_weight':
        return torch.cat([value, value.mean().expand(new_items)])
    if last == 'intent_edge_index':  # Users, then items, then intents.
        after_users = (value >= num_users).long()
        after_items = (value >= num_users + num_items).long()
        return value + new_users * after_users + new_items * after_items
    return value.clone()  # Training one model must not change the other.


def _grow_graph(
    model: Recommender, tensors: dict[str, Tensor], growth: _Growth
) -> dict[str, Tensor]:
    r"""The graph with the new interactions, and user texts that are means over it."""
    old = interactions_of(model).cpu()
    num_users, num_items = (
        size + added for size, added in zip(growth.sizes, growth.added)
    )
    plain = plain_edge_index(model.edge_index)
    usual = symmetric_norm(plain, model.num_users + model.num_items)
    if not torch.allclose(usual.to(model.edge_weight), model.edge_weight):
        raise ValueError(
            "'interactions' can be folded only into a graph with symmetric "
            "normalisation, but this model has an 'edge_weight' of its own. Build and "
            'train a model on all interactions instead'
        )
    graph = bipartite_edge_index(merge_pairs(old, growth.pairs), num_users, num_items)
    edge_index, edge_weight = normalised_graph(graph, None, num_users, num_items)
    found = {'edge_index': plain_edge_index(edge_index), 'edge_weight': edge_weight}
    text = tensors.get('backbone.text')
    if text is not None:
        of_items = text[model.num_users :]
        of_items = torch.cat([of_items, growth.new_text(1, of_items)])
        found['backbone.text'] = text_with_users(of_items, graph, num_users)
    return found


def _grow_config(config: Any, added: tuple[int, int]) -> Any:
    r"""Increase the numbers of users and items in a configuration."""
    if isinstance(config, list):
        return [_grow_config(each, added) for each in config]
    if not isinstance(config, dict):
        return config
    grown = {name: _grow_config(each, added) for name, each in config.items()}
    for name, more in zip(('num_users', 'num_items'), added):
        if name in grown:
            grown[name] += more
    if 'sizes' in grown:
        grown['sizes'] = [size + more for size, more in zip(grown['sizes'], added)]
    return grown


def _fill_tables(model: Recommender, new: Recommender, growth: _Growth) -> None:
    r"""Predict the table rows of new nodes from their texts."""
    tables = [each for each in new.modules() if isinstance(each, EmbeddingBackbone)]
    if not tables:
        return
    x = model._node_features()
    x = model.backbone.node_features() if x is None else x
    assert x is not None
    pairs = interactions_of(model)
    rows = zip(x.split(growth.sizes), growth.text, pairs, growth.sizes)
    weights = tables[0].user_embedding.weight, tables[0].item_embedding.weight
    for weight, added, (old, text, node, size) in zip(weights, growth.added, rows):
        if text is None or added == 0:
            continue
        trained = trained_rows(text[:size], node)
        if len(trained) < MIN_ROWS:
            continue
        ridge = TextRidge(text[:size], trained)
        ridge.fit(old[ridge.rows].t())
        predicted = ridge.predict(old[ridge.rows], text[size:])
        weight[size : size + added] = predicted.to(weight)


def _fill_clusters(new: Recommender, growth: _Growth) -> None:
    r"""Assign new nodes to the clusters of their most likely prototypes."""
    cluster = getattr(new, 'cluster', None)
    if cluster is None:
        return
    user, item = new.get_embeddings()
    backbone = new.backbone
    assert backbone.user_prototypes is not None
    assert backbone.item_prototypes is not None
    first_user, first_item = growth.sizes
    of_users = backbone.user_prototypes.logits(user[first_user:]).argmax(dim=1)
    of_items = backbone.item_prototypes.logits(item[first_item:]).argmax(dim=1)
    cluster[first_user : new.num_users] = of_users
    cluster[new.num_users + first_item :] = of_items


def _zeros(value: Tensor, count: int) -> Tensor:
    return value.new_zeros(count, *value.shape[1:])


def _insert(value: Tensor, place: int, rows: Tensor) -> Tensor:
    return torch.cat([value[:place], rows, value[place:]])


def merge_pairs(one: Tensor, other: Tensor) -> Tensor:
    r"""The distinct pairs of both tensors, sorted by user, then item."""
    user, item = torch.cat([one.to(other), other], dim=1)
    width = int(item.max()) + 1 if item.numel() > 0 else 1
    key = (user * width + item).unique()
    return torch.stack([key // width, key % width])
