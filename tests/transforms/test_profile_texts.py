from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from torch_geometric.data import HeteroData

from pyg_irllrec.transforms.profile_texts import ProfileTexts
from pyg_irllrec.utils.text_array import TextArray
from tests.transforms.profile_data import RATES, WORDS, same_training, split_data

# Item 0 is chosen three times, 1 twice, others once.
TRAIN = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 0), (2, 0), (2, 4), (3, 5), (3, 3)]


def user_texts(data, **options):
    return ProfileTexts(**options)(data)['user'].profile_text


def test_rare_items_come_first():
    expected = ['bicycle; coffee; tea', 'coffee; tea', 'tea', 'garden; chess puzzles']
    assert user_texts(split_data(TRAIN)) == [*expected, '']
    assert user_texts(split_data(TRAIN, range(9)), by='rare') == [*expected, '']


def test_recent_items_come_first():
    texts = user_texts(split_data(TRAIN, [9, 5, 5, 1, 2, 3, 3, 2**40, 2**41]))
    assert texts == [
        'tea; bicycle; coffee',
        'tea; coffee',
        'tea',
        'garden; chess puzzles',
        '',
    ]


def test_the_order_of_edges_does_not_matter():
    data = split_data(TRAIN, [9, 5, 5, 1, 2, 3, 3, 3, 3])
    expected = user_texts(data)
    for seed in range(5):
        order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
        data[RATES].edge_index = data[RATES].edge_index[:, order]
        data[RATES].time = data[RATES].time[order]
        assert user_texts(data) == expected


def test_a_repeated_item_counts_once_at_its_last_time():
    data = split_data([(0, 0), (0, 1), (0, 0), (0, 2)], [1, 2, 3, 0])
    assert user_texts(data)[0] == 'tea; coffee; bicycle'
    assert user_texts(data, max_items=2)[0] == 'tea; coffee'


def test_items_without_a_text_are_skipped():
    data = split_data([(0, 4), (0, 0)], [2, 1])
    assert user_texts(data, max_items=1)[0] == 'tea'


def test_limits():
    data = split_data(TRAIN)
    assert user_texts(data, max_items=2)[0] == 'bicycle; coffee'
    assert user_texts(data, max_chars=10)[0] == 'bicycle; c'


def test_every_user_has_its_own_limit():
    data = split_data([(0, 0), (0, 1), (0, 2), (1, 2), (1, 0)], [3, 2, 1, 2, 1])
    assert user_texts(data, max_items=2)[:2] == ['tea; coffee', 'bicycle; tea']
    assert user_texts(data, max_items=1)[:2] == ['tea', 'bicycle']


def test_items_keep_their_texts_and_the_data_stays_as_it_was():
    data = split_data(TRAIN)
    before = copy.copy(data)
    out = ProfileTexts(target='about')(data)
    assert out['item'].about == WORDS and out['item'].about is data['item'].text
    assert 'about' not in data['item'] and 'about' not in data['user']
    assert data.to_dict().keys() == before.to_dict().keys()


def test_lazy_texts_stay_lazy():
    pytest.importorskip('pyarrow')
    data = split_data(TRAIN)
    expected = user_texts(data)
    data['item'].text = TextArray(WORDS)
    out = ProfileTexts()(data)
    assert out['item'].profile_text is data['item'].text
    assert out['user'].profile_text == expected


@given(same_training())
@settings(deadline=None)
def test_held_out_interactions_change_no_text(pair):
    for by in ('recent', 'rare'):
        first, second = (ProfileTexts(by=by)(data) for data in pair)
        for side in ('user', 'item'):
            assert first[side].profile_text == second[side].profile_text


def test_other_types():
    data = HeteroData()
    data['reader'].num_nodes, data['book'].num_nodes = 1, 2
    data['book'].title = ['one', 'two']
    data['reader', 'reads', 'book'].edge_index = torch.tensor([[0], [1]])
    profiles = ProfileTexts(
        'title', unsplit=True, edge_type=('reader', 'reads', 'book')
    )
    assert profiles(data)['reader'].profile_text == ['two']


def test_data_that_was_not_split():
    data = split_data(TRAIN)
    del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    with pytest.raises(ValueError, match='apply SplitInteractions or RandomLinkSplit'):
        ProfileTexts()(data)
    assert user_texts(data, unsplit=True)[1] == 'coffee; tea'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, r"'data' must hold data\['item'\].text, got none"),
        (['a'] * 5, r"data\['item'\].text must hold one text per node, 6, got 5"),
        ('abcdef', 'must hold one text per node, 6, got a single text'),
        (
            ['a'] * 5 + [None],
            r"data\['item'\].text' must hold texts, got None in row 5",
        ),
    ],
)
def test_wrong_texts(text, message):
    data = split_data(TRAIN)
    if text is None:
        del data['item'].text
    else:
        data['item'].text = text
    with pytest.raises(ValueError, match=message):
        ProfileTexts()(data)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'max_items': 0}, "'max_items' must be an integer of at least 1"),
        ({'max_chars': 0}, "'max_chars' must be an integer of at least 1"),
        ({'by': 'time'}, "'by' must be one of 'recent', 'rare', got 'time'"),
        ({'edge_type': ('user', 'rates')}, "'edge_type' must be"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ProfileTexts(**options)


def test_wrong_interactions():
    data = split_data(TRAIN, range(8))
    with pytest.raises(ValueError, match="'time' must have shape"):
        ProfileTexts()(data)
    data[RATES].time = torch.zeros(data[RATES].num_edges)
    with pytest.raises(
        ValueError, match=r"'time' must hold integers, got torch.float32"
    ):
        ProfileTexts()(data)
    data[RATES].edge_index[0, 0] = 5
    with pytest.raises(ValueError, match='must hold ids from 0 to 4'):
        ProfileTexts()(data)


def test_repr():
    assert repr(ProfileTexts(max_items=3)) == 'ProfileTexts(max_items=3)'
