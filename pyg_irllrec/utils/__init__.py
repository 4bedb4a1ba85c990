r"""Small helpers that the other floors share."""

from .adjacency import (
    bipartite_edge_index,
    plain_edge_index,
    symmetric_norm,
    to_edge_index,
)
from .user_items import UserItems

__all__ = [
    'UserItems',
    'bipartite_edge_index',
    'plain_edge_index',
    'symmetric_norm',
    'to_edge_index',
]
