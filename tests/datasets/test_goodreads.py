from __future__ import annotations

import pytest

from pyg_irllrec.datasets.goodreads import Goodreads
from tests.conftest import SHARED
from tests.datasets.files import write_files

FILES = {
    'norm_interactions.tsv': 'user\titem\n0\t2\n0\t1\n3\t1\n',
    'norm_items.jsonl': (
        '{"item": 1, "title": "Heaven", "gpt_description": "A book."}\n'
        '{"item": 2, "bid": "7", "title": "The \\"x\\"", "gpt_description": null}\n'
        '{"item": 9, "title": "Unread", "gpt_description": "No."}\n'
    ),
    'norm_users.jsonl': (
        '{"user": 0, "gpt_interests": ["ballet", "love"]}\n'
        '{"user": 3, "gpt_interests": []}\n'
    ),
}


def test_books_have_texts_and_readers_have_none(tmp_path):
    write_files(
        tmp_path, {name: text for name, text in FILES.items() if 'users' not in name}
    )
    dataset = Goodreads(str(tmp_path))
    data = dataset[0]
    assert dataset.user_ids.tolist() == [0, 3] and dataset.item_ids.tolist() == [1, 2]
    rates = data['user', 'rates', 'item']
    assert set(rates.keys()) == {'edge_index'}
    assert rates.edge_index.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert list(data['item'].text) == ['Heaven. A book.', 'The "x"']
    assert 'text' not in data['user']
    assert repr(dataset) == 'Goodreads(num_users=2, num_items=2, num_interactions=3)'


def test_user_texts_on_request(tmp_path):
    write_files(tmp_path / 'raw', FILES)
    made = str(tmp_path / 'made')
    data = Goodreads(str(tmp_path), user_texts=True, processed_root=made)[0]
    assert list(data['user'].text) == ['ballet, love', '']
    assert 'text' not in Goodreads(str(tmp_path), processed_root=made)[0]['user']


def test_missing_files_are_named(tmp_path):
    write_files(tmp_path, {'norm_items.jsonl': FILES['norm_items.jsonl']})
    with pytest.raises(FileNotFoundError, match=r'lacks norm_interactions.tsv.*there'):
        Goodreads(str(tmp_path))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            '{"item": 1, "title": "x"}\n',
            r"norm_items.jsonl must have one column 'gpt_descr",
        ),
        (
            FILES['norm_items.jsonl'] + '{"item"\n',
            r'norm_items.jsonl, line 4: expected',
        ),
        ('[1]\n', r'norm_items.jsonl, line 1: expected one JSON object'),
    ],
)
def test_damaged_files_are_named(tmp_path, text, message):
    write_files(tmp_path, {**FILES, 'norm_items.jsonl': text})
    with pytest.raises(ValueError, match=message):
        Goodreads(str(tmp_path))


def test_the_real_files(tmp_path):
    root = SHARED / 'data' / 'goodreads'
    if not root.is_dir():
        pytest.skip('the real data is not here')
    data = Goodreads(str(root), processed_root=str(tmp_path))[0]
    assert data['user'].num_nodes == 23_089 and data['item'].num_nodes == 15_441
    assert data['user', 'rates', 'item'].edge_index.size(1) == 180_240
    assert data['item'].text[0].startswith('Heaven. Heaven is a book that')
