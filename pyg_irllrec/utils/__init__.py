r"""Small helpers that the other floors share."""

from .adjacency import (
    bipartite_edge_index,
    plain_edge_index,
    symmetric_norm,
    to_edge_index,
)
from .select_rows import select_rows
from .text_array import TextArray
from .user_items import UserItems

__all__ = [
    'TextArray',
    'UserItems',
    'bipartite_edge_index',
    'plain_edge_index',
    'select_rows',
    'symmetric_norm',
    'to_edge_index',
]
