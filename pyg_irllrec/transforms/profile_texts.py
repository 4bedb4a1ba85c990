from __future__ import annotations

from itertools import pairwise
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.encoders._encoder_output import checked_texts
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import check_choice, check_count
from pyg_irllrec.utils.edge_store import num_nodes, read_edges, read_time
from pyg_irllrec.utils.node_data import check_split, read_texts
from pyg_irllrec.utils.order_interactions import order_interactions


@functional_transform('irllrec_profile_texts')
class ProfileTexts(InteractionTransform):
    r"""Write profiles in words without a language model (functional name:
    :obj:`irllrec_profile_texts`): the profile of an item is its own text, and the
    profile of a user joins the texts of the training items, each once, by
    :obj:`"; "`. Items without a text are skipped.

    Of the interactions, only :obj:`edge_index` and its :obj:`time` are read: apply the
    transform after :class:`~pyg_irllrec.transforms.SplitInteractions`, so that held-out
    interactions change no text. Of the three graphs that
    :class:`~torch_geometric.transforms.RandomLinkSplit` returns, apply it to the first.

    Args:
        source (str): The attribute name of the items' texts. (default: :obj:`"text"`)
        target (str): The attribute name of the profiles: a list for users, the
            unchanged texts for items. (default: :obj:`"profile_text"`)
        max_items (int): The largest number of items per user. (default: :obj:`20`)
        max_chars (int): The largest number of characters per user; longer texts are
            cut. (default: :obj:`2000`)
        by (str): Which items come first: the most :obj:`"recent"` by :obj:`time`, or
            the most :obj:`"rare"`, which have the fewest training interactions and
            distinguish users the most. Ties, and all items if there is no :obj:`time`,
            are ordered by rarity, then by node. (default: :obj:`"recent"`)
        unsplit (bool): Whether to accept interactions that are not split, and read all
            of them. (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If interactions are not split, or items have no texts.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.transforms import ProfileTexts
        >>> data = HeteroData()
        >>> data['user'].num_nodes, data['item'].num_nodes = 2, 2
        >>> data['item'].text = ['Green tea', 'Teapot']
        >>> edge_index = torch.tensor([[0, 0, 1], [0, 1, 0]])
        >>> data['user', 'rates', 'item'].edge_index = edge_index
        >>> ProfileTexts(unsplit=True)(data)['user'].profile_text
        ['Teapot; Green tea', 'Green tea']
    """

    def __init__(
        self,
        source: str = 'text',
        target: str = 'profile_text',
        max_items: int = 20,
        max_chars: int = 2000,
        by: str = 'recent',
        unsplit: bool = False,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_count('max_items', max_items)
        check_count('max_chars', max_chars)
        check_choice('by', by, ('recent', 'rare'))
        check_name('source', source)
        self.source = source
        check_name('target', target)
        self.target = target
        self.max_items = max_items
        self.max_chars = max_chars
        self.by = by
        check_flag('unsplit', unsplit)
        self.unsplit = unsplit
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with one text per node."""
        edge_type, rates, _ = self._find(data)
        check_split(data, edge_type, self.unsplit)
        num_users, _ = num_nodes(data, edge_type)
        user_type, _, item_type = edge_type
        texts = read_texts(data, item_type, self.source)
        name = f"data['{item_type}'].{self.source}"
        has_text = np.array([text.strip() != '' for text in checked_texts(name, texts)])
        start, item = self._choose(rates, has_text, num_users)
        data[item_type][self.target] = texts
        data[user_type][self.target] = [
            '; '.join([texts[i] for i in item[first:last]])[: self.max_chars]
            for first, last in pairwise(start)
        ]
        return data

    def _choose(
        self, rates: Any, has_text: npt.NDArray[np.bool_], num_users: int
    ) -> tuple[list[int], list[int]]:
        r"""The first position of each user in the items, and the items, best first."""
        user, item = read_edges(rates).cpu().numpy()
        time = read_time(rates, user.size) if self.by == 'recent' else None
        order = order_interactions(
            user, item, has_text.size, None if time is None else time.cpu().numpy()
        )
        order = order[has_text[item[order]]]
        user, item = user[order], item[order]
        degree = np.bincount(user, minlength=num_users)
        place = np.arange(user.size) - (degree.cumsum() - degree)[user]
        start = np.minimum(degree, self.max_items).cumsum()
        return [0, *start.tolist()], item[place < self.max_items].tolist()
