r"""The interactions that a model propagates over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.user_items import UserItems

if TYPE_CHECKING:
    from pyg_irllrec.nn.models.recommender import Recommender


def interactions_of(model: Recommender) -> Tensor:
    r"""The pairs of users and items that a model propagates over, of shape
    :math:`(2, E)`."""
    source, target = (end.long() for end in source_and_target(model.edge_index))
    rates = (source < model.num_users) & (target >= model.num_users)
    return torch.stack([source[rates], target[rates] - model.num_users])


def check_interactions(model: Recommender, pairs: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless these are the interactions of the graph that
    the model embeds."""
    sizes = model.num_users, model.num_items
    own, given = (
        UserItems(interactions_of(model).cpu(), *sizes),
        UserItems(pairs, *sizes),
    )
    common = int(given.intersect(own).sum())
    if not common == own.item.numel() == given.item.numel():
        raise ValueError(
            "'data' must hold the interactions of the graph of 'model', "
            f'{own.item.numel()}, got {given.item.numel()}, of which {common} are the '
            'same: pass the graph that it was built from'
        )
