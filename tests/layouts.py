"""The layouts of interactions that PyG's data sets and transforms have, in small."""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch_geometric.transforms as T
from torch import Tensor
from torch_geometric.data import HeteroData

NUM_USERS, NUM_MOVIES = 6, 8
RATES = ('user', 'rates', 'movie')
RATED_BY = ('movie', 'rated_by', 'user')
# Each user has rated four of eight movies, each movie was rated by three users.
PAIRS = sorted({(u, (u + k) % 8) for u in range(6) for k in (0, 1, 3, 6)})
TEST = [(u, (u + 4) % 8) for u in range(6)]


def edges(pairs: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(pairs).t().contiguous()


def movie_lens_1m() -> HeteroData:
    """As torch_geometric.datasets.MovieLens1M."""
    data = HeteroData()
    data['movie'].x = torch.eye(NUM_MOVIES)
    data['user'].x = torch.eye(NUM_USERS)
    edge_index = edges(PAIRS)
    rating = torch.arange(len(PAIRS)) % 5 + 1
    time = 1000 - torch.arange(len(PAIRS))
    data[RATES].edge_index = edge_index
    data[RATES].rating = rating
    data[RATES].time = time
    data[RATED_BY].edge_index = edge_index.flip([0])
    data[RATED_BY].rating = rating
    data[RATED_BY].time = time
    return data


def movie_lens_100k() -> HeteroData:
    """As torch_geometric.datasets.MovieLens100K: test interactions with ratings."""
    data = movie_lens_1m()
    data[RATES].edge_label_index = edges(TEST)
    data[RATES].edge_label = torch.tensor([1.0, 5, 4, 2, 5, 3])
    return data


def amazon_book() -> HeteroData:
    """As torch_geometric.datasets.AmazonBook: test interactions without ratings."""
    data = HeteroData()
    data['user'].num_nodes = NUM_USERS
    data['book'].num_nodes = NUM_MOVIES
    data['user', 'rates', 'book'].edge_index = edges(PAIRS)
    data['book', 'rated_by', 'user'].edge_index = edges(PAIRS).flip([0])
    data['user', 'rates', 'book'].edge_label_index = edges(TEST)
    return data


def to_undirected() -> HeteroData:
    """The output of ToUndirected on interactions alone."""
    data = movie_lens_1m()
    del data[RATED_BY]
    return T.ToUndirected()(data)


def link_split(
    data: Optional[HeteroData] = None, **options: Any
) -> tuple[HeteroData, HeteroData, HeteroData]:
    """The output of RandomLinkSplit, with the reverse in step."""
    torch.manual_seed(0)
    split = T.RandomLinkSplit(
        num_val=0.2,
        num_test=0.2,
        **{'edge_types': RATES, 'rev_edge_types': RATED_BY} | options,
    )
    return split(movie_lens_1m() if data is None else data)


UNSPLIT = {
    'MovieLens1M': movie_lens_1m,
    'ToUndirected': to_undirected,
}
TEST_SET = {
    'MovieLens100K': movie_lens_100k,
    'AmazonBook': amazon_book,
}
LINK_SPLIT: dict[str, dict[str, Any]] = {
    'negatives': {},
    'no negatives': {'neg_sampling_ratio': 0.0},
    'no training negatives': {'add_negative_train_samples': False},
    'is_undirected': {'is_undirected': True},
    'disjoint': {'disjoint_train_ratio': 0.5},
    'split labels': {'split_labels': True},
    'split labels without negatives': {
        'split_labels': True,
        'neg_sampling_ratio': 0.0,
        'disjoint_train_ratio': 0.5,
    },
}


def pairs(edge_index: Tensor) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in edge_index.t().tolist()]


def interactions(data: HeteroData) -> tuple[Any, Any]:
    """The stores of the interactions and of their reverse."""
    (forward,) = (t for t in data.edge_types if t[0] == 'user')
    (reverse,) = (t for t in data.edge_types if t[0] != 'user')
    return data[forward], data[reverse]


def check_in_step(data: HeteroData) -> None:
    """The reverse holds the same interactions, flipped, with the same attributes."""
    forward, reverse = interactions(data)
    assert torch.equal(forward.edge_index.flip(0), reverse.edge_index)
    for key in ('rating', 'time'):
        assert (key in forward) == (key in reverse)
        if key in forward:
            assert torch.equal(forward[key], reverse[key])
            assert forward[key].numel() == forward.edge_index.size(1)


def with_texts(data: HeteroData) -> HeteroData:
    """Texts and vectors on all nodes."""
    for side in data.node_types:
        size = data[side].num_nodes
        data[side].text = [f'{side} {node} of space' for node in range(size)]
        data[side].profile = torch.randn(
            size, 4, generator=torch.Generator().manual_seed(0)
        )
    return data
