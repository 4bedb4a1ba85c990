from __future__ import annotations

import copy
import math

import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data

from pyg_irllrec.transforms.binarize_ratings import BinarizeRatings
from pyg_irllrec.transforms.split_interactions import SplitInteractions
from pyg_irllrec.transforms.symmetric_adjacency import SymmetricAdjacency
from tests.transforms.graphs import (
    PAIRS,
    RATES,
    assert_same,
    check_rows,
    edges,
    hetero,
    pairs_of,
    undirected,
)


@given(pairs=PAIRS, min_rating=st.floats(-1, 6))
@settings(deadline=None)
def test_keeps_high_ratings(pairs, min_rating):
    data = hetero(pairs, dtype=torch.int32)
    before = copy.deepcopy(data)
    time = data[RATES].time.tolist()
    order = sorted(range(len(pairs)), key=lambda k: (time[k], k))
    last = {pairs[k]: k for k in order}  # The rating that counts.
    expected = [
        k for k, pair in enumerate(pairs) if last[pair] == k and k % 5 + 1 >= min_rating
    ]
    if not expected:
        with pytest.raises(
            ValueError,
            match=rf'leaves no .* ratings from 1\.0 to {min(len(pairs), 5)}\.0',
        ):
            BinarizeRatings(min_rating)(data)
        return
    out = BinarizeRatings(min_rating)(data)
    assert_same(data, before)
    check_rows(out)
    rates = out[RATES]
    assert 'rating' not in rates and rates.number.tolist() == expected
    assert pairs_of(rates.edge_index) == [pairs[k] for k in expected]
    assert rates.edge_index.dtype == torch.int32
    assert out['user'].num_nodes == data['user'].num_nodes


def test_the_last_of_repeated_ratings_counts():
    data = hetero([(0, 0), (1, 1), (0, 0), (1, 1)])
    data[RATES].rating = torch.tensor([5, 1, 1, 5])
    del data[RATES].time
    assert BinarizeRatings(4)(data)[RATES].number.tolist() == [3]
    data[RATES].time = torch.tensor([20, 20, 10, 10])
    assert BinarizeRatings(4)(data)[RATES].number.tolist() == [0]
    data[RATES].time = torch.tensor([10, 10, 10, 10])
    assert BinarizeRatings(4)(data)[RATES].number.tolist() == [3]


@pytest.mark.parametrize('dtype', [torch.float16, torch.float64, torch.int8])
def test_ratings_of_any_type(dtype):
    data = hetero([(0, 0), (1, 1), (2, 2), (3, 3)])
    data[RATES].rating = torch.tensor([3, 4, 5, 2]).to(dtype)
    assert BinarizeRatings(3.5)(data)[RATES].number.tolist() == [1, 2]
    assert BinarizeRatings(4)(data)[RATES].number.tolist() == [1, 2]


def test_homogeneous_graphs():
    data = undirected([(0, 1), (1, 2)], 4)  # As many nodes as edges.
    data.rating = torch.tensor([1.0, 1.0, 5.0, 5.0])
    out = BinarizeRatings(4)(data)
    assert pairs_of(out.edge_index) == [(1, 2), (2, 1)] and 'rating' not in out
    assert 'rating' in data and data.num_edges == 4


def test_composes():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    transform = T.Compose([BinarizeRatings(4), T.ToUndirected(), T.ToDevice('cpu')])
    out = transform(data)
    assert out['item', 'rev_rates', 'user'].num_edges == 12
    with pytest.raises(ValueError, match='BinarizeRatings must come before transforms'):
        BinarizeRatings(4)(SymmetricAdjacency()(data))
    (out,) = IterableWrapper([data]).irllrec_binarize_ratings(4)
    assert out[RATES].num_edges == 12
    assert repr(BinarizeRatings(4)) == 'BinarizeRatings(min_rating=4)'


def test_errors():
    data = hetero([(0, 0), (1, 1), (2, 2)])
    with pytest.raises(
        ValueError, match=r"'min_rating' = 9 leaves .* got ratings from 1\.0 to 3\.0"
    ):
        BinarizeRatings(9)(data)
    with pytest.raises(ValueError, match='leaves no interaction, got no interactions'):
        BinarizeRatings(1)(hetero([]))
    with pytest.raises(ValueError, match='apply BinarizeRatings before SplitInter'):
        BinarizeRatings(1)(SplitInteractions()(data))
    data[RATES].rating = torch.tensor([1.0, float('nan'), 2.0])
    with pytest.raises(ValueError, match='must hold numbers, got NaN in 1 of 3 inter'):
        BinarizeRatings(1)(data)
    data[RATES].rating = torch.ones(3, 1)
    with pytest.raises(
        ValueError, match=r"'rating' must have shape \(3,\), got \(3, 1"
    ):
        BinarizeRatings(1)(data)
    data[RATES].rating = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="'rating' must be a tensor, got list"):
        BinarizeRatings(1)(data)
    del data[RATES].rating
    with pytest.raises(
        ValueError,
        match=r"one 'rating' per interaction, got 'number', 'time', .* as 'rating'",
    ):
        BinarizeRatings(1)(data)
    for least in (None, '4', math.nan, True):
        with pytest.raises(ValueError, match="'min_rating' must be a number, got"):
            BinarizeRatings(least)
    data = undirected([(0, 1)], 2)
    with pytest.raises(
        ValueError, match=r"must be None for a homogeneous Data, got \('u"
    ):
        BinarizeRatings(4, edge_type=RATES)(data)


def test_ratings_of_another_name():
    data = hetero([(0, 0), (1, 1), (2, 2), (3, 3)])
    data[RATES].edge_label = data[RATES].rating  # As in PyG's MovieLens.
    del data[RATES].rating
    with pytest.raises(
        ValueError, match=r"got .*'edge_label' beside 'edge_index': pass"
    ):
        BinarizeRatings(3)(data)
    out = BinarizeRatings(3, rating='edge_label')(data)
    assert out[RATES].number.tolist() == [2, 3] and 'edge_label' not in out[RATES]
    # Labels of 'edge_label_index' are not labels of 'edge_index'.
    data[RATES].edge_label_index = edges([(0, 1), (1, 2)])
    data[RATES].edge_label = torch.tensor([3, 4])
    with pytest.raises(ValueError, match=r"must hold one 'edge_label' per interaction"):
        BinarizeRatings(3, rating='edge_label')(data)


@pytest.mark.parametrize('pair', [(0, -1), (-1, 0), (5, 0), (0, 6)])
def test_ids_out_of_range_are_refused(pair):
    data = hetero([(0, 1), (1, 2), pair])
    with pytest.raises(ValueError, match="'edge_index' must hold ids from 0 to"):
        BinarizeRatings(1)(data)
    data = hetero([(0, 1), (1, 2)])
    data[RATES].edge_label_index = torch.tensor([(0, 2), pair]).t()
    data[RATES].edge_label = torch.tensor([4, 5])
    with pytest.raises(ValueError, match="'edge_label_index' must hold ids from 0 to"):
        BinarizeRatings(1)(data)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('time', torch.tensor([1]), r"'time' must have shape \(2,\), got \(1,\)"),
        ('time', [1, 2], "'time' must be a tensor, got list"),
        ('time', torch.tensor([math.nan, 1]), "'time' must hold integers"),
        (
            'time',
            torch.tensor([1_577_934_245_000, 1_577_934_246]),
            "'time' must be in one unit",
        ),
        (
            'rating',
            torch.tensor([5, 1j]),
            "'rating' must hold real numbers, got torch.com",
        ),
    ],
)
def test_times_and_ratings_of_another_kind_are_refused(name, value, message):
    data = hetero([(0, 0), (0, 0)])
    data[RATES][name] = value
    with pytest.raises(ValueError, match=message):
        BinarizeRatings(1)(data)


def test_times_of_nodes_are_not_times_of_interactions():
    data = Data(edge_index=torch.tensor([[0, 0], [1, 1]]), num_nodes=3)
    data.edge_rating, data.time = torch.tensor([1, 5]), torch.tensor([3.5, 2, 1])
    out = BinarizeRatings(4, rating='edge_rating')(data)
    assert out.edge_index.tolist() == [[0], [1]] and out.time.numel() == 3
