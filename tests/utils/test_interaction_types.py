from __future__ import annotations

import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import Data, HeteroData

from pyg_irllrec.utils import (
    InteractionTypes,
    find_interaction_types,
    interaction_types,
)
from tests.layouts import (
    LINK_SPLIT,
    RATED_BY,
    RATES,
    TEST_SET,
    UNSPLIT,
    link_split,
    movie_lens_1m,
)

EDGES = torch.tensor([[0, 0, 1], [1, 2, 2]])


def graph(**stores):
    """One edge type per name, such as a_r_b."""
    data = HeteroData()
    for name, edge_index in stores.items():
        source, relation, target = name.split('__')
        data[source, relation, target].edge_index = edge_index
    return data


@pytest.mark.parametrize('layout', UNSPLIT | TEST_SET)
def test_the_layouts_of_pyg(layout):
    data = (UNSPLIT | TEST_SET)[layout]()
    item = 'book' if layout == 'AmazonBook' else 'movie'
    reverse = 'rev_rates' if layout == 'ToUndirected' else 'rated_by'
    assert find_interaction_types(data) == InteractionTypes(
        ('user', 'rates', item), (item, reverse, 'user')
    )


@pytest.mark.parametrize('options', LINK_SPLIT.values(), ids=LINK_SPLIT)
def test_the_parts_of_random_link_split(options):
    for part in link_split(**options):
        assert find_interaction_types(part) == (RATES, RATED_BY)
    alone = movie_lens_1m()
    del alone[RATED_BY]
    for part in link_split(alone, **options, rev_edge_types=None):
        assert find_interaction_types(part) == (RATES, None)


def test_any_node_type_works():
    assert find_interaction_types(graph(a__r__b=EDGES)) == (('a', 'r', 'b'), None)
    both = graph(b__rev_r__a=EDGES.flip(0), a__r__b=EDGES)
    assert find_interaction_types(both) == (('a', 'r', 'b'), ('b', 'rev_r', 'a'))
    both = graph(item__by__user=EDGES.flip(0), user__of__item=EDGES)
    assert find_interaction_types(both).edge_type == ('user', 'of', 'item')
    # Edges from users come first, regardless of the order of relations.
    both = graph(item__by__user=EDGES.flip(0), user__rev_by__item=EDGES)
    assert find_interaction_types(both).edge_type == ('user', 'rev_by', 'item')
    with pytest.raises(
        ValueError, match=r"edge type of 'data' is \('item', 'by', 'user'\): p"
    ):
        find_interaction_types(graph(item__by__user=EDGES))
    alone = graph(item__by__user=EDGES)
    assert find_interaction_types(alone, ('item', 'by', 'user')).rev_edge_type is None
    # Edges between nodes of the same type are not interactions.
    social = graph(a__r__b=EDGES, a__trusts__a=EDGES)
    assert find_interaction_types(social).edge_type == ('a', 'r', 'b')


@pytest.mark.parametrize('key', ['edge_label_index', 'val_edge_label_index', 'rating'])
def test_stored_attributes_decide_the_direction(key):
    data = graph(b__s__a=EDGES.flip(0), a__r__b=EDGES)
    message = r"'edge_type' must name the direction .*\('b', 's', 'a'\) or \('a', 'r'"
    with pytest.raises(ValueError, match=message):
        find_interaction_types(data)
    data['a', 'r', 'b'][key] = torch.zeros(3)
    assert find_interaction_types(data) == (('a', 'r', 'b'), ('b', 's', 'a'))
    data['b', 's', 'a'][key] = torch.zeros(3)
    with pytest.raises(ValueError, match=message):
        find_interaction_types(data)


@pytest.mark.parametrize(
    'stores',
    [
        {'a__r__b': EDGES, 'a__s__b': EDGES},
        {'a__r__b': EDGES, 'b__s__c': EDGES},
        {'a__r__b': EDGES, 'b__rev_r__a': EDGES.flip(0), 'a__s__b': EDGES},
    ],
)
def test_several_types(stores):
    data = graph(**stores)
    with pytest.raises(ValueError, match=r"several .*\('a', 'r', 'b'\), .* edge_type="):
        find_interaction_types(data)
    types = find_interaction_types(data, ['a', 'r', 'b'])
    assert types.edge_type == ('a', 'r', 'b')
    assert (types.rev_edge_type is None) == ('b__rev_r__a' not in stores)


def test_several_reverses():
    data = graph(a__r__b=EDGES, b__s__a=EDGES.flip(0), b__t__a=EDGES.flip(0))
    with pytest.raises(ValueError, match=r"'rev_edge_type' must name .*'b', 's', 'a'"):
        find_interaction_types(data, ('a', 'r', 'b'))
    types = find_interaction_types(data, ('a', 'r', 'b'), ['b', 's', 'a'])
    assert types.rev_edge_type == ('b', 's', 'a')
    # An unrelated edge type is not a reverse.
    data['b', 't', 'a'].edge_index = EDGES
    types = find_interaction_types(data, ('a', 'r', 'b'))
    assert types.rev_edge_type == ('b', 's', 'a')
    data['b', 's', 'a'].edge_index = EDGES.flip(0)[:, 1:]
    assert find_interaction_types(data, ('a', 'r', 'b')).rev_edge_type is None
    # An edge type with more edges is a reverse that a transform has missed.
    data['b', 's', 'a'].edge_index = torch.tensor([[2, 1, 2, 5], [0, 0, 1, 5]])
    with pytest.raises(ValueError, match=r"'s', 'a'\) must hold the 3 interactions of"):
        find_interaction_types(data, ('a', 'r', 'b'))
    data['b', 'rev_r', 'a'].edge_index = EDGES.flip(0)
    types = find_interaction_types(data, ('a', 'r', 'b'))
    assert types.rev_edge_type == ('b', 'rev_r', 'a')


@pytest.mark.parametrize(
    'reverse',
    [EDGES.flip(0)[:, 1:], EDGES, torch.tensor([[1, 2, 1], [0, 0, 0]])],
)
def test_a_reverse_of_other_interactions(reverse):
    data = graph(a__r__b=EDGES, b__rev_r__a=reverse)
    with pytest.raises(
        ValueError,
        match=r"'rev_r', 'a'\) must hold the 3 interactions of .* delete data\[",
    ):
        find_interaction_types(data)
    data['b', 'rev_r', 'a'].edge_index = EDGES.flip(0)[:, [2, 0, 1]]
    assert find_interaction_types(data).rev_edge_type == ('b', 'rev_r', 'a')


def test_ids_of_any_size():
    big = torch.tensor([[2**62, -(2**62)], [2**61, 3]])
    data = graph(a__r__b=big, b__s__a=big.flip(0)[:, [1, 0]])
    assert find_interaction_types(data, ('a', 'r', 'b')).rev_edge_type is not None


@pytest.mark.sparse_tensor
def test_wrong_data():
    with pytest.raises(ValueError, match=r'needs users and items in .* got Data'):
        find_interaction_types(Data())
    for empty in (HeteroData(), graph(a__r__a=EDGES)):
        with pytest.raises(ValueError, match="must hold an 'edge_index' from users to"):
            find_interaction_types(empty)
    sparse = T.ToSparseTensor()(movie_lens_1m())
    for types in ((), (RATES,)):
        with pytest.raises(ValueError, match='apply ToSparseTensor last'):
            find_interaction_types(sparse, *types)
    with pytest.raises(ValueError, match='got list: pass its graphs one by one'):
        find_interaction_types([movie_lens_1m()])
    data = movie_lens_1m()
    for types, message in (
        ((('user', 'buys', 'movie'),), r"must hold 'edge_index' of .*, got edges of"),
        ((('user', 'knows', 'user'),), "'edge_type' must be .* two node types"),
        ((RATES, RATES), "'rev_edge_type' must be from 'movie' to 'user'"),
        ((RATES, ('movie', 'x', 'user')), r"must hold 'edge_index' of \('movie', 'x'"),
        ((RATES, 'abc'), "'rev_edge_type' must be .* two node types.* got 'abc'"),
        ((3,), "'edge_type' must be .* two node types.* got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            find_interaction_types(data, *types)


@pytest.mark.parametrize(
    ('forward', 'backward', 'holds'),
    [
        ([(0, 1)], [(1, 0)], True),
        ([(0, 1)], [(0, 1)], False),
        ([(0, 1)], [(1, 0), (0, 0)], True),
        ([], [], True),
        ([], [(0, 0)], False),
    ],
)
def test_edges_and_their_reverse(forward, backward, holds):
    def tensor(pairs):
        return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()

    data = HeteroData()
    data['a'].num_nodes = data['b'].num_nodes = 2
    data['b', 'of', 'a'].edge_index = tensor(backward)
    assert interaction_types._holds(data, ('b', 'of', 'a'), tensor(forward)) == holds
