from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.text.intents.evidence import (
    Evidence,
    approximate_tokens,
    choose_evidence,
    evidence_sha256,
)
from pyg_irllrec.transforms import SplitInteractions
from tests.layouts import (
    LINK_SPLIT,
    RATES,
    TEST_SET,
    amazon_book,
    interactions,
    link_split,
    movie_lens_1m,
    with_texts,
)


def shop(reviews=False):
    """Two users and four items. User 0 chose items 0, 1, 2, and user 1 items 2, 3."""
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 4
    data['user'].id, data['item'].id = torch.tensor([7, 8]), ['a', 'b', 'c', 'd']
    data['item'].text = ['apple', 'bread', '', 'date']
    rates = data['user', 'rates', 'item']
    rates.edge_index = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 2, 2, 3]])
    rates.time = torch.tensor([10, 30, 20, 5, 6])
    rates.val_edge_label_index = torch.tensor([[0], [3]])
    rates.test_edge_label_index = torch.tensor([[1], [0]])
    if reviews:
        rates.text = ['good', 'stale', 'cold', '', 'sweet\n\nthing']
        rates.rating = torch.tensor([5.0, 1.0, 3.0, 3.0, 4.5])
    return data


def texts(data, side, **options):
    return [each.texts for each in choose_evidence(data, side, **options)]


def test_evidence_of_a_user_is_newest_first():
    evidence = choose_evidence(shop(), 'user')
    assert len(evidence) == 2
    assert evidence[0] == Evidence(
        'user', 7, ('bread', 'apple'), (('item', 'b'), ('item', 'a')), 'user'
    )
    assert [each.id for each in evidence] == [7, 8] and evidence[-1].texts == ('date',)
    assert evidence[0:1] == [evidence[0]]


def test_evidence_of_an_item_is_its_own_text():
    assert texts(shop(), 'item') == [('apple',), ('bread',), (), ('date',)]


def test_reviews_and_ratings_follow_titles():
    data = shop(reviews=True)
    assert texts(data, 'user')[0] == (
        'bread | rating: 1 | review: stale',
        'rating: 3 | review: cold',
        'apple | rating: 5 | review: good',
    )
    evidence = choose_evidence(data, 'item')
    assert evidence[3].texts == ('date', 'rating: 4.5 | review: sweet thing')
    assert evidence[3].sources == (('item', 'd'), ('user', 8))
    assert evidence[2].texts == (
        'rating: 3 | review: cold',
    )  # Blank texts are skipped.


def test_equal_ratings_are_left_out():
    data = shop()
    data['user', 'rates', 'item'].rating = torch.ones(5)
    assert texts(data, 'user')[0] == ('bread', 'apple')


def test_users_have_texts_of_their_own():
    data = shop()
    data['user'].text = ['likes food', '']
    assert texts(data, 'user')[0] == ('likes food', 'bread', 'apple')


def test_held_out_interactions_have_no_effect():
    data = shop(reviews=True)
    other = copy.copy(data)
    rates = other['user', 'rates', 'item']
    rates.val_edge_label_index = torch.tensor([[1], [1]])
    rates.test_edge_label_index = torch.zeros(2, 0, dtype=torch.long)
    for side in ('user', 'item'):
        assert texts(data, side) == texts(other, side)


def test_evidence_after_a_split():
    data = shop(reviews=True)
    rates = data['user', 'rates', 'item']
    del rates.val_edge_label_index, rates.test_edge_label_index
    with pytest.raises(ValueError, match='apply SplitInteractions or'):
        choose_evidence(data, 'user')
    assert len(texts(data, 'user', unsplit=True)[0]) == 3
    split = SplitInteractions('time', cold='keep')(data)
    left = split['user', 'rates', 'item'].edge_index.size(1)
    assert left < 5
    assert sum(len(each) for each in texts(split, 'user')) <= left


def test_order():
    data = shop()
    data['item'].text = ['apple', 'bread', 'cake', 'date']
    assert texts(data, 'user')[0] == ('bread', 'cake', 'apple')
    assert texts(data, 'user', by='rare')[0] == ('apple', 'bread', 'cake')
    del data['user', 'rates', 'item'].time
    assert texts(data, 'user')[0] == ('apple', 'bread', 'cake')
    drawn = [texts(data, 'user', by='random', seed=k)[0] for k in range(20)]
    assert drawn == [texts(data, 'user', by='random', seed=k)[0] for k in range(20)]
    assert len(set(drawn)) > 2 and {tuple(sorted(x)) for x in drawn} == {
        ('apple', 'bread', 'cake')
    }


def test_the_order_of_edges_does_not_matter():
    data = shop(reviews=True)
    rates = data['user', 'rates', 'item']
    turned = copy.copy(data)
    flip = torch.arange(4, -1, -1)
    other = turned['user', 'rates', 'item']
    other.edge_index = rates.edge_index[:, flip]
    other.time, other.rating = rates.time[flip], rates.rating[flip]
    other.text = rates.text[::-1]
    assert texts(turned, 'user') == texts(data, 'user')
    assert texts(turned, 'item') == texts(data, 'item')


def test_budget():
    data = shop()
    data['item'].text = ['a' * 400, 'b' * 400, 'c' * 400, 'ü' * 400]
    chosen = texts(data, 'user', max_evidence_tokens=25, max_text_tokens=10)
    assert [len(text) for text in chosen[0]] == [40, 40]
    assert chosen[1][0] == 'ü' * 20
    for each in (*chosen, *texts(data, 'user', max_evidence_tokens=7)):
        assert sum(map(approximate_tokens, each)) <= 25
    assert texts(data, 'user', max_evidence_tokens=7)[0] == ('b' * 28,)


def test_hashes_cover_the_texts():
    first = choose_evidence(shop(), 'user')
    assert evidence_sha256(first) == evidence_sha256(list(first))
    assert evidence_sha256(first) != evidence_sha256(first[:1])
    assert first[0].sha256 != first[1].sha256


def test_both_sides_and_how_they_were_chosen():
    data = shop(reviews=True)
    both = choose_evidence(data, by='rare', max_evidence_tokens=50)
    sides = [
        choose_evidence(data, side, by='rare', max_evidence_tokens=50)
        for side in ('user', 'item')
    ]
    assert len(both) == 6 and list(both) == [*sides[0], *sides[1]]
    assert both[1:3] == [sides[0][1], sides[1][0]] and both[-4] == sides[1][0]
    with pytest.raises(IndexError):
        both[6]
    options = both.describe()
    assert options['sides'] == ['user', 'item'] and options['by'] == 'rare'
    assert evidence_sha256(choose_evidence(data, **options)) == evidence_sha256(both)
    with pytest.raises(ValueError, match=r"'sides' must be .* distinct"):
        choose_evidence(data, ('user', 'user'))


def test_lazy_texts_are_read_one_by_one():
    class Texts:
        asked = 0

        def __len__(self):
            return 4

        def __getitem__(self, row):
            Texts.asked += 1
            return f'text {row}'

    data = shop()
    data['item'].text = Texts()
    evidence = choose_evidence(data, 'item')
    assert Texts.asked == 0
    assert evidence[2].texts == ('text 2',) and Texts.asked == 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'by': 'best'}, "'by' must be one of"),
        (
            {'max_evidence_tokens': 0},
            "'max_evidence_tokens' must be an integer of at least 1",
        ),
        ({'max_text_tokens': 0}, "'max_text_tokens' must be an integer of at least 1"),
        ({'source': 'words'}, "'data' must hold texts"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        choose_evidence(shop(), 'user', **options)


def test_wrong_data():
    with pytest.raises(ValueError, match="'sides' must be one of 'user', 'item'"):
        choose_evidence(shop(), 'shop')
    data = shop()
    data['item'].text = ['one']
    with pytest.raises(ValueError, match='must hold one text per node, 4, got 1'):
        choose_evidence(data, 'user')
    data = shop()
    data['user', 'rates', 'item'].text = ['one']
    with pytest.raises(ValueError, match='must have one text per interaction, 5'):
        choose_evidence(data, 'user')
    data = shop()
    data['item'].id = ['a']
    with pytest.raises(ValueError, match='must hold one id per node, 4, got 1'):
        choose_evidence(data, 'user')


def test_node_numbers_replace_missing_ids_for_all_nodes():
    data = shop()
    del data['user'].id
    data['user'].num_nodes = 3
    evidence = choose_evidence(data, 'user')
    assert [each.id for each in evidence] == [0, 1, 2] and evidence[2].texts == ()
    assert np.array_equal([len(each.texts) for each in evidence], [2, 1, 0])


@pytest.mark.parametrize('layout', [*TEST_SET, *LINK_SPLIT])
def test_the_layouts_of_pyg(layout):
    if layout in TEST_SET:
        data = with_texts(TEST_SET[layout]())
    else:
        data = with_texts(link_split(**LINK_SPLIT[layout])[0])
    forward, _ = interactions(data)
    item = forward._key[2]
    evidence = choose_evidence(data)
    assert [each.side for each in evidence] == ['user'] * 6 + [item] * 8
    assert [each.role for each in evidence] == ['user'] * 6 + ['item'] * 8
    sources = {source for each in evidence[:6] for source in each.sources[1:]}
    assert sources == {(item, node) for node in forward.edge_index[1].tolist()}
    assert evidence.describe()['edge_type'] == ['user', 'rates', item]
    assert evidence.describe()['sides'] == ['user', item]


def test_given_edge_types():
    data = with_texts(amazon_book())
    data['book', 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    with pytest.raises(ValueError, match="'edge_type' must name the interactions"):
        choose_evidence(data)
    types = ('user', 'rates', 'book'), ('book', 'rated_by', 'user')
    evidence = choose_evidence(data, edge_type=types[0], rev_edge_type=types[1])
    assert len(evidence) == 14
    options = evidence.describe()
    assert (options['edge_type'], options['rev_edge_type']) == tuple(map(list, types))
    assert choose_evidence(data, **options).describe() == options
    for wrong in (3, 'abc'):
        with pytest.raises(
            ValueError, match=r"'rev_edge_type' must be .* two node types"
        ):
            choose_evidence(data, edge_type=types[0], rev_edge_type=wrong)


def test_attributes_of_interactions_that_are_not_tensors():
    data = with_texts(amazon_book())
    rates = data['user', 'rates', 'book']
    for name, value, message in (
        ('time', torch.zeros(24), "'time' must hold integers, got torch.float32"),
        ('time', [1] * 24, "'time' must be a tensor, got list"),
        ('rating', [1] * 24, "'rating' must be a tensor, got list"),
    ):
        rates[name] = value
        with pytest.raises(ValueError, match=message):
            choose_evidence(data)
        del rates[name]


def test_interactions_that_are_not_split():
    with pytest.raises(ValueError, match=r'must hold a split of .*unsplit=True'):
        choose_evidence(with_texts(movie_lens_1m()), edge_type=RATES)
