r"""The interactions in the graph of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.user_items import UserItems

if TYPE_CHECKING:
    from pyg_irllrec.nn.models.recommender import Recommender


def interactions_of(model: Recommender) -> Tensor:
    r"""Return the user and item ids of the edges in the graph of a model, of shape
    :math:`(2, E)`."""
    source, target = (end.long() for end in source_and_target(model.edge_index))
    rates = (source < model.num_users) & (target >= model.num_users)
    return torch.stack([source[rates], target[rates] - model.num_users])


def check_interactions(model: Recommender, pairs: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`pairs` are the interactions in the
    graph of the model."""
    sizes = model.num_users, model.num_items
    own, given = (
        UserItems(interactions_of(model).cpu(), *sizes),
        UserItems(pairs, *sizes),
    )
    common = int(given.intersect(own).sum())
    if not common == own.item.numel() == given.item.numel():
        raise ValueError(
            f"'data' must have the {own.item.numel()} interactions in the graph of "
            f"'model', got {given.item.numel()}, of which {common} are the same: pass "
            'the data that the model was built from'
        )
