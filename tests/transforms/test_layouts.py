"""Every transform of interactions on every layout of PyG."""

from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T

from pyg_irllrec.transforms import (
    BinarizeRatings,
    DropEdges,
    DropNodes,
    EncodeText,
    KCore,
    ProfileTexts,
    ProfileVectors,
    ReduceText,
    RemapIds,
    SplitInteractions,
    SymmetricAdjacency,
)
from tests.layouts import (
    LINK_SPLIT,
    NUM_MOVIES,
    NUM_USERS,
    PAIRS,
    RATED_BY,
    RATES,
    TEST,
    TEST_SET,
    UNSPLIT,
    check_in_step,
    edges,
    interactions,
    link_split,
    movie_lens_1m,
    movie_lens_100k,
    pairs,
    with_texts,
)
from tests.transforms.graphs import assert_same

PARTS = {
    name: lambda o=options: link_split(**o)[0] for name, options in LINK_SPLIT.items()
}
SPLIT = TEST_SET | PARTS
ALL = UNSPLIT | SPLIT
CHANGES = {
    'BinarizeRatings': BinarizeRatings(3),
    'KCore': KCore(2, 3),
    'RemapIds': RemapIds(),
    'SplitInteractions': SplitInteractions(val=0.25, test=0.25),
}
every_layout = pytest.mark.parametrize('layout', ALL)
every_split = pytest.mark.parametrize('layout', SPLIT)


@pytest.mark.parametrize('layout', UNSPLIT)
@pytest.mark.parametrize('transform', CHANGES.values(), ids=CHANGES)
def test_the_reverse_changes_with_the_interactions(layout, transform):
    data = UNSPLIT[layout]()
    before = copy.deepcopy(data)
    out = transform(data)
    assert_same(data, before)
    check_in_step(out)
    forward, _ = interactions(out)
    assert out['user'].x.size(0) == out['user'].num_nodes
    # Rows identify the nodes, even if they are renumbered.
    user, movie = forward.edge_index
    left = torch.stack([out['user'].x.argmax(1)[user], out['movie'].x.argmax(1)[movie]])
    if isinstance(transform, SplitInteractions):
        for key in ('val_edge_label_index', 'test_edge_label_index'):
            left = torch.cat([left, forward[key]], dim=1)
        assert forward.val_edge_label_index.size(1) == NUM_USERS
        assert out['movie'].cold.numel() == NUM_MOVIES
    expected = {
        'BinarizeRatings': [p for k, p in enumerate(PAIRS) if k % 5 + 1 >= 3],
        'KCore': [],
    }.get(type(transform).__name__, PAIRS)
    if not isinstance(transform, KCore):
        assert sorted(pairs(left)) == sorted(expected)
        return
    assert 0 < len(pairs(left)) < len(PAIRS) and set(pairs(left)) < set(PAIRS)
    assert torch.bincount(user).min() >= 2 and torch.bincount(movie).min() >= 3


@pytest.mark.parametrize('transform', [DropEdges(0.5), DropNodes(0.3)], ids=repr)
@every_layout
def test_drops(layout, transform):
    data = ALL[layout]()
    forward, _ = interactions(data)
    if layout in LINK_SPLIT and 'disjoint_train_ratio' not in LINK_SPLIT[layout]:
        with pytest.raises(ValueError, match=r'labelled .* it before RandomLinkSplit'):
            transform(data)
        return
    transform.generator = torch.Generator().manual_seed(1)
    out = transform(data)
    check_in_step(out)
    left, _ = interactions(out)
    assert set(pairs(left.edge_index)) < set(pairs(forward.edge_index))
    for key in forward.keys():
        if 'edge_label' in key:
            assert left[key] is forward[key]


@every_layout
def test_adjacency(layout):
    data = ALL[layout]()
    out = SymmetricAdjacency()(data)
    count = len(set(pairs(interactions(data)[0].edge_index)))
    assert out.edge_index.size(1) == 2 * count
    assert out.edge_index.sparse_size() == (NUM_USERS + NUM_MOVIES,) * 2


@every_split
def test_profiles(layout):
    data = with_texts(SPLIT[layout]())
    item = next(side for side in data.node_types if side != 'user')
    out = ProfileVectors()(ProfileTexts()(data))
    assert out['user'].profile.shape == (NUM_USERS, 4)
    assert out['user'].profile_text[0].startswith(f'{item} ')
    assert out[item].profile_text == data[item].text


@pytest.mark.parametrize('transform', [ProfileTexts(), ProfileVectors()], ids=repr)
def test_profiles_of_interactions_that_are_not_split(transform):
    with pytest.raises(ValueError, match=r"must hold a split of .*'movie'.*unsplit=Tr"):
        transform(with_texts(movie_lens_1m()))


@every_layout
def test_texts(layout):
    data = with_texts(ALL[layout]())
    item = next(side for side in data.node_types if side != 'user')

    def encode(texts):
        assert texts[:1] == ['user 0 of space'] and texts[-1].startswith(item)
        return [[len(text), 1.0, k] for k, text in enumerate(texts)]

    out = ReduceText(2)(EncodeText(encode, 'text')(data))
    assert out[item].profile.shape == (NUM_MOVIES, 2)
    assert out['user'].profile.shape == (NUM_USERS, 2)


@every_split
@pytest.mark.parametrize('transform', CHANGES.values(), ids=CHANGES)
def test_data_that_is_already_split_is_named(layout, transform):
    if layout == 'MovieLens100K' and isinstance(transform, BinarizeRatings):
        return  # Accepted: see below.
    data = SPLIT[layout]()
    test_set = 'disjoint_train_ratio' in LINK_SPLIT.get(layout, TEST_SET)
    test_set = test_set or layout in TEST_SET
    if isinstance(transform, SplitInteractions) and test_set:
        with pytest.raises(ValueError, match=r'already holds a test set.*test=0'):
            transform(data)
        return
    if isinstance(transform, BinarizeRatings) and layout == 'AmazonBook':
        with pytest.raises(ValueError, match="must hold one 'rating' per interaction"):
            transform(data)
        return
    if isinstance(transform, BinarizeRatings) and test_set:
        with pytest.raises(ValueError, match='must hold the ratings of the test set'):
            transform(data)
        return
    name = type(transform).__name__
    layout_name = 'AmazonBook' if test_set else 'training part of RandomLinkSplit'
    with pytest.raises(
        ValueError, match=rf'{name} needs interactions .* holds .*{layout_name}'
    ):
        transform(data)


@pytest.mark.parametrize('options', ['negatives', 'no negatives', 'split labels'])
def test_a_part_of_random_link_split_as_a_test_set(options):
    train, part, _ = link_split(**LINK_SPLIT[options])
    with pytest.raises(ValueError, match='must hold the ratings of the test set'):
        BinarizeRatings(3)(part)
    out = SplitInteractions(val=0.25, test=0)(part)
    forward, _ = interactions(out)
    # Negative edges are not test interactions.
    label = part[RATES].get('edge_label', torch.empty(0))
    expected = part[RATES].get('edge_label_index')
    expected = (
        part[RATES].pos_edge_label_index if expected is None else expected[:, label > 0]
    )
    assert forward.test_edge_label_index.equal(expected)
    assert forward.test_edge_label.tolist() == [1, 1, 1, 1]
    assert not [key for key in forward if key.startswith(('edge_label', 'pos', 'neg'))]
    found = torch.cat([forward.edge_index, forward.val_edge_label_index], dim=1)
    assert sorted(pairs(found)) == sorted(pairs(train[RATES].edge_index))


@pytest.mark.parametrize('layout', TEST_SET)
def test_a_given_test_set_is_kept(layout):
    data = TEST_SET[layout]()
    out = SplitInteractions(val=0.25, test=0)(data)
    check_in_step(out)
    forward, _ = interactions(out)
    assert 'edge_label_index' not in forward and 'edge_label' not in forward
    assert pairs(forward.test_edge_label_index) == TEST
    parts = torch.cat([forward.edge_index, forward.val_edge_label_index], dim=1)
    assert sorted(pairs(parts)) == PAIRS and forward.val_edge_label_index.size(1) == 6
    if layout == 'MovieLens100K':
        assert forward.test_edge_label.tolist() == [1, 5, 4, 2, 5, 3]
    last = SplitInteractions('leave_one_out', test=0)(data)
    assert interactions(last)[0].val_edge_label_index[0].tolist() == list(range(6))


def test_cold_items_of_a_given_test_set():
    data = movie_lens_100k()
    data['movie'].x = torch.zeros(9, 1)
    data[RATES].edge_label_index = edges([*TEST[:5], (5, 8)])
    with pytest.warns(UserWarning, match='1 of 9 items .* 1 of 6 held-out .* dropped'):
        out = SplitInteractions(val=0, test=0, cold='drop')(data)
    assert out['movie'].cold.tolist() == [False] * 8 + [True]
    assert pairs(out[RATES].test_edge_label_index) == TEST[:5]
    assert out[RATES].test_edge_label.tolist() == [1, 5, 4, 2, 5]


def test_liked_interactions_of_movie_lens_100k():
    out = BinarizeRatings(4)(movie_lens_100k())
    check_in_step(out)
    assert pairs(out[RATES].edge_label_index) == [TEST[1], TEST[2], TEST[4]]
    assert 'edge_label' not in out[RATES] and 'rating' not in out[RATED_BY]
    data = movie_lens_100k()
    del data[RATES].edge_label
    with pytest.raises(ValueError, match='must hold the ratings of the test set'):
        BinarizeRatings(4)(data)


def test_a_reverse_in_another_order():
    data = movie_lens_1m()
    order = torch.randperm(len(PAIRS), generator=torch.Generator().manual_seed(0))
    reverse = data[RATED_BY]
    for key in ('rating', 'time'):
        reverse[key] = reverse[key][order]
    reverse.edge_index = reverse.edge_index[:, order]
    for transform in (*CHANGES.values(), DropEdges(0.5)):
        out = transform(data)
        kept = out[RATES], out[RATED_BY]
        assert 'time' in kept[0]
        rows = [
            sorted(zip(pairs(edge_index), store.time.tolist()))
            for store, edge_index in zip(
                kept, (kept[0].edge_index, kept[1].edge_index.flip(0))
            )
        ]
        assert rows[0] == rows[1]


def test_labels_beside_edges_are_attributes():
    data = movie_lens_1m()
    for store in (data[RATES], data[RATED_BY]):
        store.edge_label = store.time  # As in PyG's MovieLens, after ToUndirected.
    for transform in (*CHANGES.values(), DropEdges(0.5), DropNodes(0.3)):
        out = transform(data)
        for store in (out[RATES], out[RATED_BY]):
            assert store.edge_label.equal(store.time)
            assert store.edge_label.numel() == store.num_edges


HOLD_OUT = {
    'BinarizeRatings': BinarizeRatings(3, edge_type=RATES),
    'DropEdges': DropEdges(0.5, edge_type=RATES),
    'DropNodes': DropNodes(0.3, edge_type=RATES),
    'SplitInteractions': SplitInteractions(edge_type=RATES),
}


@pytest.mark.parametrize('transform', HOLD_OUT.values(), ids=HOLD_OUT)
def test_copies_of_the_interactions_are_refused(transform):
    for copy_type, order in (
        (('user', 'saw', 'movie'), torch.arange(24)),
        (('movie', 'seen_by', 'user'), torch.arange(24).flip(0)),
    ):
        data = movie_lens_1m()
        edge_index = data[RATES].edge_index[:, order]
        if copy_type[0] == 'movie':
            data[copy_type].edge_index = edge_index.flip(0)
            transform.rev_edge_type = RATED_BY
        else:
            data[copy_type].edge_index = edge_index
        with pytest.raises(
            ValueError, match=rf"copy of these edges under .*'{copy_type[1]}'.*del d"
        ):
            transform(data)
        data[copy_type].edge_index = data[copy_type].edge_index[:, :-1]
        transform(data)


@pytest.mark.sparse_tensor
def test_other_data():
    for transform in (*CHANGES.values(), DropEdges(0.5), SymmetricAdjacency()):
        for data, message in ((None, 'NoneType'), ([movie_lens_1m()], 'one by one')):
            with pytest.raises(ValueError, match=f'needs users and items.*{message}'):
                transform(data)
    with pytest.raises(ValueError, match='got list: pass its graphs one by one'):
        EncodeText(list, 'text')([movie_lens_1m()])
    sparse = T.ToSparseTensor()(movie_lens_1m())
    with pytest.raises(ValueError, match='apply ToSparseTensor last'):
        KCore(2)(sparse)


@pytest.mark.sparse_tensor
def test_derived_graphs_are_refused():
    data = movie_lens_1m()
    for made in (SymmetricAdjacency(), SymmetricAdjacency('csr')):
        for transform in CHANGES.values():
            with pytest.raises(
                ValueError, match='must come before transforms that derive'
            ):
                transform(made(data))
    data = T.ToSparseTensor(remove_edge_index=False)(data)
    with pytest.raises(ValueError, match="got 'adj_t'"):
        KCore(1)(data)


@pytest.mark.parametrize('transform', [EncodeText, ReduceText])
def test_sides_by_given_types(transform):
    data = with_texts(movie_lens_1m())
    data['movie', 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    args = (lambda texts: [[len(text)] for text in texts], 'text')
    args = args if transform is EncodeText else (2,)
    with pytest.raises(ValueError, match=r"'edge_type' must name .*'has', 'genre'"):
        transform(*args)(data)
    for types in (
        {'edge_type': RATES},
        {'edge_type': RATES, 'rev_edge_type': RATED_BY},
    ):
        assert 'profile' in transform(*args, **types)(data)['movie']
    with pytest.raises(ValueError, match=r"nodes of type 'film', got .*'movie', 'use"):
        transform(*args, sides=['film'])(data)
    with pytest.raises(ValueError, match="'rev_edge_type' must be from 'movie'"):
        transform(*args, edge_type=RATES, rev_edge_type=RATES)(data)
    with pytest.raises(ValueError, match=r"'edge_type' must be .* two node types"):
        transform(*args, edge_type='rates')


@pytest.mark.parametrize(
    'transform',
    [
        BinarizeRatings,
        DropEdges,
        DropNodes,
        KCore,
        ProfileTexts,
        ProfileVectors,
        RemapIds,
        SplitInteractions,
        SymmetricAdjacency,
    ],
)
def test_given_types(transform):
    args = {BinarizeRatings: (3,), DropEdges: (0.5,), DropNodes: (0.3,), KCore: (1,)}
    data = with_texts(movie_lens_1m())
    data['movie', 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    data['genre'].num_nodes = 1
    if transform in (ProfileTexts, ProfileVectors):
        data[RATES].edge_label_index = edges(TEST)
    args = args.get(transform, ())
    with pytest.raises(ValueError, match=r"'edge_type' must name .*'has', 'genre'"):
        transform(*args)(data)
    transform(*args, edge_type=RATES)(data)
    transform(*args, edge_type=list(RATES), rev_edge_type=list(RATED_BY))(data)
    with pytest.raises(ValueError, match=r"'edge_type' must be .* two node types"):
        transform(*args, edge_type=('a', 'b', 'a'))
    with pytest.raises(ValueError, match=r"'rev_edge_type' must be .* two node types"):
        transform(*args, rev_edge_type=('a', 'b'))
    with pytest.raises(ValueError, match=r"must hold 'edge_index' of .*'buys'"):
        transform(*args, edge_type=('user', 'buys', 'movie'))(data)
