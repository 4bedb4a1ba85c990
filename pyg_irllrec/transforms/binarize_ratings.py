from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._check_order import check_unsplit
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.checks import check_length
from pyg_irllrec.utils.select_edges import select_columns, select_edges
from pyg_irllrec.utils.split_layout import SplitLayout


@functional_transform('irllrec_binarize_ratings')
class BinarizeRatings(InteractionTransform):
    r"""Leaves the interactions rated :obj:`min_rating` or above, and takes the
    ratings away: what is left is liked (functional name:
    :obj:`irllrec_binarize_ratings`). Nodes stay, also those without any interaction
    left: :class:`~pyg_irllrec.transforms.KCore` removes them. Interactions in reverse
    follow, and so does a test set, :obj:`edge_label_index` with its ratings
    :obj:`edge_label`, as :class:`~torch_geometric.datasets.MovieLens100K` has it.

    Args:
        min_rating (float): The least rating that counts.
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, found likewise)

    Raises:
        ValueError: If there is no rating per interaction, a rating is NaN, nothing is
            left, interactions are already split, or something was already made of
            them.
    """

    def __init__(
        self,
        min_rating: float,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        self.min_rating = min_rating
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with the interactions that are left."""
        store, reverse = self._find_stores(data)
        layout = check_unsplit(
            data, store, reverse, type(self).__name__, allowed=(SplitLayout.TEST_SET,)
        )
        if 'rating' not in store:
            raise ValueError("'data' must hold a 'rating' per interaction, got none")
        rating = store.rating
        liked = self._liked('rating', rating, store.edge_index.size(1))
        if layout is SplitLayout.TEST_SET:
            if 'edge_label' not in store:
                raise ValueError(
                    "'data' must hold the ratings of the test set, 'edge_label' beside "
                    "'edge_label_index', got none"
                )
            test = store.edge_label_index
            liked_test = self._liked('edge_label', store.edge_label, test.size(1))
        if liked.numel() == 0:
            there = (
                f'ratings from {rating.min().item()} to {rating.max().item()}'
                if rating.numel() > 0
                else 'no interactions'
            )
            raise ValueError(
                f"'min_rating' = {self.min_rating} leaves no interaction, got {there}"
            )
        select_edges(data, store, liked, reverse)
        for each in (store, reverse):
            if each is not None and 'rating' in each:
                del each['rating']
        if layout is SplitLayout.TEST_SET:
            store.edge_label_index = select_columns(test, liked_test)
            del store['edge_label']
        return data

    def _liked(self, name: str, rating: Tensor, length: int) -> Tensor:
        r"""The numbers of the interactions that are rated high enough."""
        check_length(name, rating, length)
        missing = int(rating.isnan().sum())
        if missing > 0:
            raise ValueError(
                f"'{name}' must hold numbers, got NaN in {missing} of "
                f'{rating.numel()} interactions'
            )
        return (rating >= self.min_rating).nonzero().flatten()

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_rating={self.min_rating})'
