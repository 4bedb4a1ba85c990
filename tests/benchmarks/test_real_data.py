from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pyg_irllrec.typing import RATES
from tests.cli.tables import write_table

pytest.importorskip('pandas')

from benchmarks import real_data

TRAIN = 'edge_index'


def write_vectors(folder, side, ids):
    """Write unit vectors: row k is e_k."""
    vectors = np.eye(len(ids), 8, dtype=np.float16)
    np.savez(folder / f'minilm_{side}.npz', ids=np.array(ids), embedding=vectors)


def write_texts(folder, ids):
    genres = ('Western', 'Musical', 'Horror')
    lines = [
        {'item': k, 'title': f'Film {k}', 'genres': [genres[k % 3], 'Drama'], 'year': k}
        for k in ids
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / 'norm_item_text.jsonl').write_text(text)


@pytest.fixture
def root(tmp_path):
    """XRec with four users (2 to 5) and three items (30 to 10), and MovieLens with a
    film without ratings and a film that nobody likes."""
    folder = tmp_path / 'xrec' / 'yelp'
    folder.mkdir(parents=True)
    parts = {'train': [(2, 30), (5, 10), (3, 10)], 'val': [(4, 20)], 'test': [(2, 10)]}
    for part, pairs in parts.items():
        lines = [f'{user}\t{item}' for user, item in (('user', 'item'), *pairs)]
        (folder / f'norm_textsub_{part}.tsv').write_text('\n'.join(lines) + '\n')
    write_vectors(folder, 'user', [2, 3, 4, 5])
    write_vectors(folder, 'item', [30, 20, 10])
    write_texts(folder, [30, 10])
    folder = tmp_path / 'ml-latest-small'
    folder.mkdir()
    rows = [[user, film, 4 + (film == 9) * -3, film] for user in (7, 8)
            for film in range(1, 10)]  # fmt: skip
    header = ['userId', 'movieId', 'rating', 'timestamp']
    write_table(folder / 'ratings.csv', header, rows)
    write_vectors(folder, 'item', list(range(10)))
    write_texts(folder, range(10))
    return tmp_path


def test_nodes_follow_the_order_of_ids(root):
    data = real_data.load('xrec-yelp', root)
    assert (data['user'].num_nodes, data['item'].num_nodes) == (4, 3)
    assert data[RATES].edge_index.tolist() == [[0, 3, 1], [2, 0, 0]]
    assert data[RATES].val_edge_label_index.tolist() == [[2], [1]]
    assert data[RATES].test_edge_label_index.tolist() == [[0], [0]]
    assert data['item'].profile.argmax(dim=1).tolist() == [2, 1, 0]
    assert data['item'].text == [
        'Film 10. Musical, Drama',
        '',
        'Film 30. Western, Drama',
    ]
    assert data['user'].intent is data['user'].profile


@pytest.mark.parametrize('split', ['given', 'random', 'time', 'leave_one_out'])
def test_liked_films_are_split(root, split):
    data = real_data.load('ml-latest-small', root, split=split, seed=1)
    rates = data[RATES]
    assert data['item'].num_nodes == 8
    counts = [rates[key].size(1) for key in (TRAIN, *real_data.HELD_OUT)]
    assert counts == ([12, 2, 2] if split == 'leave_one_out' else [10, 2, 4])
    if split == 'time':
        assert rates.test_edge_label_index[1].tolist() == [6, 7, 6, 7]
    assert data['item'].profile.argmax(dim=1).tolist()[:7] == list(range(1, 8))
    # Users have the vectors of their training items and of no others.
    for user in range(2):
        seen = data['user'].profile[user].nonzero().flatten().tolist()
        trained = rates.edge_index[1][rates.edge_index[0] == user] + 1
        assert set(seen) == set(trained[trained < 8].tolist())


def test_intents_are_extracted_from_training(root):
    pytest.importorskip('pydantic')
    data = real_data.load('ml-latest-small', root, intents=True)
    assert data['item'].intent.size(0) == 8
    assert data['user'].intent.shape != data['user'].profile.shape
    assert 'drama' in data['item'].intent_text[0].lower()
    assert data['user'].intent.size(1) == data['item'].intent.size(1)


def test_a_given_split_can_be_replaced():
    given = real_data.load('toy')
    again = real_data.load('toy', split='leave_one_out')
    count = sum(given[RATES][key].size(1) for key in (TRAIN, *real_data.HELD_OUT))
    assert count == sum(
        again[RATES][key].size(1) for key in (TRAIN, *real_data.HELD_OUT)
    )
    assert again[RATES].test_edge_label_index.size(1) == 60


def test_shuffled_texts_belong_to_other_nodes():
    real = real_data.load('toy')
    shuffled = real_data.load('toy', text='shuffled')
    other = real_data.load('toy', text='shuffled', seed=1)
    for side in ('user', 'item'):
        rows = [sorted(each[side].profile.tolist()) for each in (real, shuffled)]
        assert rows[0] == rows[1]
        moved = (real[side].profile != shuffled[side].profile).any(dim=1)
        assert moved.float().mean() > 0.8
        assert not torch.equal(shuffled[side].profile, other[side].profile)
    none = real_data.load('toy', text=None)
    assert 'profile' not in none['item'] and 'intent' not in none['user']


def test_noise_and_keep_change_only_training():
    real = real_data.load('toy')[RATES]
    less = real_data.load('toy', keep=0.5)[RATES]
    more = real_data.load('toy', noise=0.5)[RATES]
    count = real.edge_index.size(1)
    assert less.edge_index.size(1) == round(count / 2)
    assert count < more.edge_index.size(1) <= round(1.5 * count)
    pairs = {
        name: set(map(tuple, each.edge_index.t().tolist()))
        for name, each in (('real', real), ('less', less), ('more', more))
    }
    assert pairs['less'] < pairs['real'] < pairs['more']
    assert len(pairs['more']) == more.edge_index.size(1)
    for key in real_data.HELD_OUT:
        held = set(map(tuple, real[key].t().tolist()))
        assert torch.equal(real[key], more[key]) and not held & pairs['more']


@pytest.mark.parametrize('name', ['amazon', 'xrec-amazon', 'ml-100k', 'goodreads'])
def test_absent_data_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="'root' must be the folder of all"):
        real_data.load(name, tmp_path)


def test_an_item_without_a_vector_is_an_error(root):
    write_vectors(root / 'ml-latest-small', 'item', [1, 2])
    with pytest.raises(ValueError, match=r'7 ids have no vector, first \[3, 4'):
        real_data.load('ml-latest-small', root)
