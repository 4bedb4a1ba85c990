from __future__ import annotations

import json

import pandas
import pyarrow as pa
import pytest
import torch

from pyg_irllrec.serving import Nodes, Recommendations

ITEMS = Nodes('item', ['x', 'y', 'z'], ['An X', '', 'A \x1b[1mZ' + 'z' * 60])


def recommendations(users=('anna', 'ben')):
    item = torch.tensor([[2, 1], [0, -1]])
    score = torch.tensor([[1.5, 0.25], [-2.0, -torch.inf]])
    return Recommendations(list(users), ITEMS, item, score)


def test_the_items_of_a_user():
    best = recommendations()
    assert [each.item for each in best['anna']] == ['z', 'y']
    (only,) = best['ben']
    assert only == ('x', 'An X', -2.0)
    assert best['anna'][1].title == 'y'
    assert [user for user, _ in best] == ['anna', 'ben'] and len(best) == 2
    with pytest.raises(ValueError, match='one of the 2 users of these'):
        best['carl']


def test_a_user_by_number_or_digits():
    best = recommendations((7, 8))
    assert best[8] == best['8'] == best[8.0]
    assert recommendations((' anna ', 'b'))[' anna '] == recommendations()['anna']


def test_tables():
    best = recommendations((7, 8))
    frame = best.to_pandas()
    assert list(frame) == ['user', 'rank', 'item', 'title', 'score']
    assert frame['user'].tolist() == [7, 7, 8] and frame['rank'].tolist() == [1, 2, 1]
    assert frame['title'].tolist()[1:] == ['y', 'An X']
    table = best.to_arrow()
    assert table.schema.types == [
        *(pa.int64(), pa.int32(), pa.string(), pa.string(), pa.float32())
    ]
    pandas.testing.assert_frame_equal(table.to_pandas(), frame, check_dtype=False)
    assert recommendations().to_arrow().schema.field('user').type == pa.string()
    assert recommendations((7, 'b')).to_arrow()['user'].to_pylist() == ['7', '7', 'b']
    assert recommendations((2**70, 8)).to_arrow()['user'].to_pylist()[-1] == '8'


def test_empty_tables():
    none = torch.empty(0, 3)
    best = Recommendations([], ITEMS, none.long(), none)
    assert best.to_arrow().num_rows == 0 and next(iter(best.to_pandas())) == 'user'
    assert best.to_dicts() == [] and repr(best) == 'user  rank  title  score'


def test_dictionaries():
    found = json.loads(json.dumps(recommendations().to_dicts()))
    assert found[1] == {
        'user': 'ben',
        'items': [{'rank': 1, 'item': 'x', 'title': 'An X', 'score': -2.0}],
    }


def test_repr():
    lines = repr(recommendations()).splitlines()
    assert lines[0].split() == ['user', 'rank', 'title', 'score']
    assert lines[1].startswith(r'anna  1     A \x1b[1mZzzz') and '...' in lines[1]
    assert lines[3].split() == ['ben', '1', 'An', 'X', '-2'] and len(lines) == 4
    many = Recommendations(
        range(30), ITEMS, torch.zeros(30, 1).long(), torch.zeros(30, 1)
    )
    assert repr(many).splitlines()[-1] == '... and 20 more'
    assert len(repr(many).splitlines()) == 12
