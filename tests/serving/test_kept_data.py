from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.serving._kept_data import kept_of, titles_of
from pyg_irllrec.typing import RATES


def _data(ids, titles):
    data = HeteroData()
    data['user'].num_nodes = 1
    data['movie'].num_nodes = len(titles)
    data['movie'].id = ids
    data['movie'].title = titles
    data['user', 'rates', 'movie'].edge_index = torch.tensor([[0], [1]])
    return data


@pytest.mark.parametrize(
    ('ids', 'kept'),
    [
        (np.array([4, 7]), [4, 7]),
        (torch.tensor([4, 7]), [4, 7]),
        (np.array(['a', 'b']), ['a', 'b']),
        (np.array(['a', 3], dtype=object), ['a', 3]),
    ],
    ids=['integers', 'tensor', 'texts', 'mixed'],
)
def test_ids_are_plain(ids, kept):
    found = kept_of(_data(ids, ['', '']), ('user', 'rates', 'movie'))
    assert json.dumps(found['item'].id) == json.dumps(kept)
    assert found[RATES].edge_index.tolist() == [[0], [1]]


def test_missing_texts_are_empty():
    given = _data([0, 1, 2], [None, float('nan'), 'Heat'])
    kept = kept_of(given, ('user', 'rates', 'movie'))
    assert kept['item'].title == ['', '', 'Heat']
    with pytest.raises(ValueError, match=r"data\['movie'\].title.*got 3 in row 1"):
        kept_of(_data([0, 1], ['', 3]), ('user', 'rates', 'movie'))


def test_the_first_words_of_a_text_replace_a_missing_title():
    data = _data([0, 1, 2], ['Heat', '', ''])
    data['movie'].text = ['A heist', 'two  words\n' + 'word ' * 40, '']
    kept = kept_of(data, ('user', 'rates', 'movie'))
    first, second, third = titles_of(kept, 'item')
    assert (first, third) == ('Heat', '')
    assert second.startswith('two words word') and second.endswith('word ...')
    assert 50 < len(second) <= 60
    del kept['item'].title
    assert titles_of(kept, 'item')[0] == 'A heist'
    assert titles_of(kept, 'user') is None
