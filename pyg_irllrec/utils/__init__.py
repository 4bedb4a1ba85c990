r"""Small helpers that the other packages share."""

from .adjacency import (
    bipartite_edge_index,
    plain_edge_index,
    symmetric_norm,
    to_edge_index,
)
from .interaction_types import InteractionTypes, find_interaction_types
from .map_interactions import map_interactions
from .select_rows import select_rows
from .text_array import TextArray
from .training_interactions import training_interactions
from .user_items import UserItems

__all__ = [
    'InteractionTypes',
    'TextArray',
    'UserItems',
    'bipartite_edge_index',
    'find_interaction_types',
    'map_interactions',
    'plain_edge_index',
    'select_rows',
    'symmetric_norm',
    'to_edge_index',
    'training_interactions',
]
