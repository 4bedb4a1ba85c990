r"""Closed-form baselines, which need no training: compare every recommender with
them."""

from .ease import EASE
from .item_knn import ItemKNN
from .popularity import Popularity

__all__ = [
    'EASE',
    'ItemKNN',
    'Popularity',
]
