from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._check_order import check_copies, check_unsplit
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.transforms._last_of_pairs import is_increasing, last_of_pairs
from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.argument_checks import check_name
from pyg_irllrec.utils.checks import check_length, is_number
from pyg_irllrec.utils.edge_store import plain, read_time
from pyg_irllrec.utils.select_edges import edge_attributes, select_columns, select_edges
from pyg_irllrec.utils.split_layout import SplitLayout, positive_mask
from pyg_irllrec.utils.time_units import check_one_unit


@functional_transform('irllrec_binarize_ratings')
class BinarizeRatings(InteractionTransform):
    r"""Keep the interactions with a rating of at least :obj:`min_rating`, and remove
    the ratings: what remains counts as liked (functional name:
    :obj:`irllrec_binarize_ratings`). Of repeated interactions only the last one counts,
    by :obj:`time` if there is one, then by position. All nodes stay, even those without
    interactions: :class:`~pyg_irllrec.transforms.KCore` removes them. Reverse
    interactions are filtered in the same way, and so is a test set
    (:obj:`edge_label_index` with its ratings :obj:`edge_label`), as in
    :class:`~torch_geometric.datasets.MovieLens100K`.

    Args:
        min_rating (float): The lowest rating that counts as liked.
        rating (str): The attribute name of the ratings, one per interaction, such as
            :obj:`"edge_label"` in :class:`~torch_geometric.datasets.MovieLens`.
            (default: :obj:`"rating"`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If there is not one rating per interaction, a rating is NaN, an id
            is out of range, :obj:`time` is not one integer per interaction or mixes
            units, no interaction remains, interactions are already split, or something
            was already derived from them.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.transforms import BinarizeRatings
        >>> data = HeteroData()
        >>> data['user'].num_nodes, data['item'].num_nodes = 2, 3
        >>> rates = data['user', 'rates', 'item']
        >>> rates.edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
        >>> rates.rating = torch.tensor([5.0, 2.0, 4.0])
        >>> liked = BinarizeRatings(min_rating=4)(data)
        >>> liked['rates'].edge_index
        tensor([[0, 1],
                [0, 2]])
    """

    def __init__(
        self,
        min_rating: float,
        rating: str = 'rating',
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        if not is_number(min_rating) or not -(2**63) < min_rating < 2**63:
            raise ValueError(f"'min_rating' must be a number, got {min_rating!r}")
        self.min_rating = min_rating
        check_name('rating', rating)
        self.rating = rating
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with the remaining interactions."""
        store, reverse = self._find_stores(data)
        layout = check_unsplit(
            data, store, reverse, type(self).__name__, allowed=(SplitLayout.TEST_SET,)
        )
        check_copies(data, store, reverse, type(self).__name__)
        rating = self._read_rating(data, store)
        _check_ids(data, store, plain(store.edge_index))
        time = None
        # In a homogeneous graph, 'time' may be an attribute of nodes.
        if isinstance(data, HeteroData) or 'time' in edge_attributes(data, store):
            time = read_time(store, store.edge_index.size(1))
        if time is not None:
            check_one_unit(time)
        liked = self._liked(self.rating, rating, plain(store.edge_index), time)
        if layout is SplitLayout.TEST_SET:
            _check_test_ratings(store)
            test = store.edge_label_index
            _check_ids(data, store, plain(test), 'edge_label_index')
            liked_test = self._liked('edge_label', store.edge_label, plain(test))
        if liked.numel() == 0:
            found = (
                f'ratings from {rating.min().item()} to {rating.max().item()}'
                if rating.numel() > 0
                else 'no interactions'
            )
            raise ValueError(
                f"'min_rating' = {self.min_rating} leaves no interaction, got {found}"
            )
        select_edges(data, store, liked, reverse)
        for each in (store, reverse):
            if each is not None and self.rating in each:
                del each[self.rating]
        if layout is SplitLayout.TEST_SET:
            store.edge_label_index = select_columns(test, liked_test)
            del store['edge_label']
        return data

    def _read_rating(self, data: GraphData, store: Any) -> Any:
        names = edge_attributes(data, store)
        of_test_set = self.rating == 'edge_label' and 'edge_label_index' in store
        if self.rating in store and not of_test_set:
            return store[self.rating]
        others = ', '.join(map(repr, names)) or 'nothing'
        raise ValueError(
            f"'data' must hold one '{self.rating}' per interaction, got {others} "
            "beside 'edge_index': pass the attribute name of the ratings as 'rating'"
        )

    def _liked(
        self, name: str, rating: Tensor, pairs: Tensor, time: Optional[Tensor] = None
    ) -> Tensor:
        r"""The indices of the interactions that are rated high enough."""
        check_length(name, rating, pairs.size(1))
        if rating.is_complex():
            raise ValueError(f"'{name}' must hold real numbers, got {rating.dtype}")
        missing = int(rating.isnan().sum())
        if missing > 0:
            raise ValueError(
                f"'{name}' must hold numbers, got NaN in {missing} of "
                f'{rating.numel()} interactions'
            )
        liked = rating >= self.min_rating
        if pairs.numel() > 0:
            user, item = pairs.long()
            pair = user * (item.max() + 1) + item
            if not is_increasing(pair):  # Otherwise sorted and distinct.
                counts = torch.zeros_like(liked)
                counts[last_of_pairs(pair, time)[1]] = True
                liked &= counts
        return liked.nonzero().flatten()


def _check_ids(
    data: GraphData, store: Any, pairs: Tensor, name: str = 'edge_index'
) -> None:
    r"""Raise a :class:`ValueError` for ids out of range: two pairs could get the same
    key."""
    sizes = [2**63, 2**63]
    if isinstance(data, HeteroData):
        sizes = [data[side].num_nodes or 2**63 for side in store._key[::2]]
    for size, row in zip(sizes, pairs):
        check_node_ids(row, size, name)


def _check_test_ratings(store: Any) -> None:
    r"""Raise a :class:`ValueError` unless the labels are ratings."""
    if 'edge_label' not in store or 'edge_label_index' not in store:
        raise ValueError(
            "'data' must hold the ratings of the test set, 'edge_label' beside "
            "'edge_label_index', got none"
        )
    label = store.edge_label
    mask = positive_mask(store)
    if label.numel() > 0 and (not bool(mask.all()) or bool((label == 1).all())):
        raise ValueError(
            "'edge_label' must hold the ratings of the test set, got labels that "
            'RandomLinkSplit made: apply BinarizeRatings before it'
        )
