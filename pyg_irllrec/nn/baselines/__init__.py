r"""What every recommender should be compared with: closed forms, without training."""

from .ease import EASE
from .item_knn import ItemKNN
from .popularity import Popularity

__all__ = [
    'EASE',
    'ItemKNN',
    'Popularity',
]
