from __future__ import annotations

from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.utils.checks import check_length
from pyg_irllrec.utils.interactions import (
    RATES,
    EdgeType,
    GraphData,
    check_before_split,
    check_edge_type,
    edge_store,
    select_edges,
)


@functional_transform('irllrec_binarize_ratings')
class BinarizeRatings(BaseTransform):
    r"""Leaves the interactions rated :obj:`min_rating` or above, and takes the
    ratings away: what is left is liked (functional name:
    :obj:`irllrec_binarize_ratings`). Nodes stay, also those without any interaction
    left: :class:`~pyg_irllrec.transforms.KCore` removes them.

    Args:
        min_rating (float): The least rating that counts.
        edge_type (tuple): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If there is no rating an interaction, a rating is NaN, nothing is
            left, interactions are already split, or something was already made of
            them.
    """

    def __init__(self, min_rating: float, edge_type: EdgeType = RATES) -> None:
        self.min_rating = min_rating
        self.edge_type = check_edge_type(edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with the interactions that are left."""
        check_before_split(data, self.edge_type, type(self).__name__)
        store = edge_store(data, self.edge_type)
        if 'rating' not in store:
            raise ValueError("'data' must hold a 'rating' an interaction, got none")
        rating = store.rating
        check_length('rating', rating, store.edge_index.size(1))
        missing = int(rating.isnan().sum())
        if missing > 0:
            raise ValueError(
                f"'rating' must hold numbers, got NaN in {missing} of "
                f'{rating.numel()} interactions'
            )
        liked = (rating >= self.min_rating).nonzero().flatten()
        if liked.numel() == 0:
            there = (
                f'ratings from {rating.min().item()} to {rating.max().item()}'
                if rating.numel() > 0
                else 'no interactions'
            )
            raise ValueError(
                f"'min_rating' = {self.min_rating} leaves no interaction, got {there}"
            )
        del store['rating']
        select_edges(data, store, liked)
        return data

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_rating={self.min_rating})'
