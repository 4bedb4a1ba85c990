from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._check_order import check_unsplit
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.transforms._last_of_pairs import is_increasing
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.select_nodes import select_nodes


@functional_transform('irllrec_k_core')
class KCore(InteractionTransform):
    r"""Keep the largest set of users and items in which every user has interacted with
    at least :obj:`k` of the items, and every item with at least :obj:`k_item` of the
    users (functional name: :obj:`irllrec_k_core`). Repeated interactions count once,
    but all interactions between the remaining nodes stay. As is usual, apply it before
    the split, so that held-out interactions count as well.

    The remaining nodes are renumbered. They keep their order and their attributes:
    tensors, arrays, lists, ids and texts. Edges of other types, such as the reverse,
    are filtered and renumbered, too. Each round drops all nodes with too few
    interactions, and takes time linear in the remaining interactions.

    Args:
        k (int): The smallest number of items per user.
        k_item (int, optional): The smallest number of users per item.
            (default: :obj:`None`, :obj:`k`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If :obj:`k` or :obj:`k_item` is below 1, nothing remains, ids are
            out of range, interactions are already split, or something was already
            derived from them.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.transforms import KCore
        >>> data = HeteroData()
        >>> data['user'].num_nodes, data['item'].num_nodes = 3, 3
        >>> edge_index = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 2]])
        >>> data['user', 'rates', 'item'].edge_index = edge_index
        >>> data = KCore(2)(data)
        >>> data['user'].num_nodes, data['item'].num_nodes
        (2, 2)
    """

    def __init__(
        self,
        k: int,
        k_item: Optional[int] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_count('k', k)
        if k_item is not None:
            check_count('k_item', k_item)
        self.k = k
        self.k_item = k_item
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The remaining part of the graph."""
        edge_type, store, reverse = self._find(data)
        check_unsplit(data, store, reverse, type(self).__name__)
        num_users, num_items = num_nodes(data, edge_type)
        user, item = read_edges(store)
        pair = user * num_items + item
        if not is_increasing(pair):
            pair = pair.unique()
            user, item = pair // max(num_items, 1), pair % max(num_items, 1)
        num_pairs = pair.numel()
        del pair  # As large as a row of edges.
        least = (self.k, self.k if self.k_item is None else self.k_item)
        users, items = _peel(user, item, (num_users, num_items), least)
        del user, item
        if users.numel() == 0:
            given = f"'k' = {self.k} leaves"
            if self.k_item is not None:
                given = f"'k' = {self.k} and 'k_item' = {self.k_item} leave"
            raise ValueError(
                f'{given} nothing of {num_users} users and {num_items} items with '
                f'{num_pairs} distinct interactions'
            )
        select_nodes(data, {edge_type[0]: users, edge_type[2]: items})
        return data


def _peel(
    user: Tensor, item: Tensor, sizes: tuple[int, int], least: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    r"""The users and items that remain once all have enough interactions."""
    while True:
        kept_user = torch.bincount(user, minlength=sizes[0]) >= least[0]
        kept_item = torch.bincount(item, minlength=sizes[1]) >= least[1]
        kept = kept_user[user] & kept_item[item]
        if bool(kept.all()):
            return kept_user.nonzero().flatten(), kept_item.nonzero().flatten()
        user, item = user[kept], item[kept]
