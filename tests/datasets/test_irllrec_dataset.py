from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import IRLLRecDataset
from tests.datasets.files import (
    NUM_ITEMS,
    NUM_USERS,
    matrix,
    write_dataset,
    write_pickle,
)


def test_reads_the_authors_layout(tmp_path):
    folder = write_dataset(tmp_path, 'yelp')
    files = sorted(folder.iterdir())
    dataset = IRLLRecDataset(str(tmp_path), 'yelp', texts=('profile', 'intent'))
    assert repr(dataset) == "IRLLRecDataset('yelp')" and len(dataset) == 1
    data = dataset[0]
    assert data['user'].num_nodes == NUM_USERS and data['item'].num_nodes == NUM_ITEMS
    rates = data['user', 'rates', 'item']
    for name in ('edge_index', 'val_edge_label_index', 'test_edge_label_index'):
        assert rates[name].dtype == torch.long and rates[name].size(0) == 2
    for kind in ('profile', 'intent'):
        assert data['user'][kind].dtype == torch.float32
        assert data['user'][kind].size(0) == NUM_USERS
        assert data['item'][kind].size(0) == NUM_ITEMS
    assert sorted(folder.iterdir()) == files and list(tmp_path.iterdir()) == [folder]


def test_transform(tmp_path):
    write_dataset(tmp_path)

    def mark(data):
        data.marked = True
        return data

    assert IRLLRecDataset(str(tmp_path), 'amazon', transform=mark)[0].marked


def test_repeated_and_zero_entries_count_once_and_never(tmp_path):
    folder = write_dataset(tmp_path)
    pairs = matrix([[0, 0, 1], [2, 2, 3]])
    pairs.data[2] = 0
    write_pickle(folder, 'trn_mat', pairs)
    data = IRLLRecDataset(str(tmp_path), 'amazon')[0]
    assert data['user', 'rates', 'item'].edge_index.tolist() == [[0], [2]]


@pytest.mark.parametrize('entry', [-1, np.nan, np.inf, -np.inf, -0.5])
@pytest.mark.parametrize('name', ['trn_mat', 'val_mat', 'tst_mat'])
def test_entries_that_are_not_interactions_are_named(tmp_path, name, entry):
    folder = write_dataset(tmp_path)
    pairs = matrix([[0, 0, 1], [2, 2, 3]])
    pairs.data[1] = entry
    write_pickle(folder, name, pairs)
    with pytest.raises(ValueError, match=rf'{name}.pkl must hold 1 .* row 0, column 2'):
        IRLLRecDataset(str(tmp_path), 'amazon')


def test_weights_above_zero_are_interactions(tmp_path):
    folder = write_dataset(tmp_path)
    pairs = matrix([[0, 1], [2, 3]])
    pairs.data[:] = (0.5, 4)
    write_pickle(folder, 'trn_mat', pairs)
    data = IRLLRecDataset(str(tmp_path), 'amazon')[0]
    assert data['user', 'rates', 'item'].edge_index.tolist() == [[0, 1], [2, 3]]


def test_missing_texts_are_named_with_advice(tmp_path):
    folder = write_dataset(tmp_path)
    (folder / 'itm_emb_np.pkl').unlink()
    dataset = IRLLRecDataset(str(tmp_path), 'amazon')
    assert dataset.missing_text_files('profile') == ['itm_emb_np.pkl']
    assert 'profile' not in dataset[0]['user'] and 'intent' in dataset[0]['user']
    with pytest.raises(FileNotFoundError, match=r'lacks itm_emb_np\.pkl.*or make them'):
        IRLLRecDataset(tmp_path, 'amazon', texts='profile')
    with pytest.raises(ValueError, match="'texts' must be one of 'profile', 'intent'"):
        IRLLRecDataset(tmp_path, 'amazon', texts=('title',))


def test_missing_matrices_and_wrong_names(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r'lacks trn_mat.pkl, val_mat.pkl, tst_mat'
    ):
        IRLLRecDataset(str(tmp_path), 'amazon')
    with pytest.raises(
        ValueError, match="'name' must be one of 'amazon', 'yelp', 'steam', 'movie'"
    ):
        IRLLRecDataset(str(tmp_path), 'books')
    assert list(tmp_path.iterdir()) == []


def out_of_range():
    out = matrix([[0, 1], [0, 1]])
    out.coords[1][0] = NUM_ITEMS
    return out


def incomplete():
    out = matrix([[0], [0]])
    del out.data
    return out


def with_nan():
    out = np.ones((NUM_USERS, 4), dtype=np.float32)
    out[7, 2] = np.nan
    return out


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('trn_mat', matrix([[], []]), 'trn_mat.pkl must hold interactions, got none'),
        (
            'tst_mat',
            matrix([[0], [0]], (3, 3)),
            'tst_mat.pkl must have the shape of trn_mat',
        ),
        ('val_mat', np.eye(3), 'val_mat.pkl must hold a scipy.sparse matrix'),
        (
            'trn_mat',
            out_of_range(),
            'column ids must be from 0 to 29, got ids from 1 to 30',
        ),
        ('trn_mat', incomplete(), 'trn_mat.pkl is not .* or it is damaged'),
        (
            'usr_emb_np',
            with_nan(),
            r'usr_emb_np.pkl.*NaN or infinity in 1 of 40 .*row 7',
        ),
        ('usr_emb_np', np.ones((3, 4)), 'usr_emb_np.pkl must have 40 rows, got 3'),
        (
            'itm_emb_np',
            np.ones((NUM_ITEMS, 3)),
            'itm_emb_np.pkl must be as wide as usr_emb',
        ),
        (
            'usr_emb_np',
            np.ones((NUM_USERS, 4), int),
            'must hold an array of floating-point',
        ),
        ('usr_emb_np', np.ones(NUM_USERS), 'must be a matrix with at least one row'),
    ],
)
def test_bad_files(tmp_path, name, value, message):
    folder = write_dataset(tmp_path)
    write_pickle(folder, name, value)
    with pytest.raises(ValueError, match=message):
        IRLLRecDataset(str(tmp_path), 'amazon')


@pytest.mark.parametrize(
    ('name', 'shape', 'sizes'),
    [
        ('amazon', (11000, 9332), (120464, 40290, 40106)),
        ('yelp', (11091, 11010), (166620, 55479, 55436)),
        ('movie', (16994, 9370), (134649, 16799, 16795)),
    ],
)
def test_the_real_matrices(amazon_root, name, shape, sizes):
    data = IRLLRecDataset(str(amazon_root), name)[0]
    rates = data['user', 'rates', 'item']
    assert (data['user'].num_nodes, data['item'].num_nodes) == shape
    splits = (rates.edge_index, rates.val_edge_label_index, rates.test_edge_label_index)
    assert tuple(split.size(1) for split in splits) == sizes


@pytest.mark.parametrize(
    ('val', 'test', 'message'),
    [
        (
            [[0, 1], [0, 1]],
            [[2], [3]],
            'val_mat.pkl and trn_mat.pkl must hold .* all 2 of val_mat.pkl',
        ),
        (
            [[2], [3]],
            [[0, 1], [0, 1]],
            'tst_mat.pkl and trn_mat.pkl must hold .* all 2 of tst_mat.pkl',
        ),
        (
            [[2, 3], [3, 3]],
            [[2, 3], [3, 3]],
            'val_mat.pkl and tst_mat.pkl must hold .* all 2 of val_mat.pkl',
        ),
        (
            [[2], [3]],
            [[2, 3], [3, 3]],
            'val_mat.pkl and tst_mat.pkl must hold .* all 1 of val_mat.pkl',
        ),
        (
            [[2], [3]],
            [[0, 1, 5], [0, 1, 5]],
            'trn_mat.pkl and tst_mat.pkl must hold .* all 2 of trn_mat.pkl',
        ),
    ],
)
def test_all_of_one_matrix_in_another(tmp_path, val, test, message):
    folder = write_dataset(tmp_path, text=False)
    write_pickle(folder, 'trn_mat', matrix([[0, 1], [0, 1]]))
    write_pickle(folder, 'val_mat', matrix(val))
    write_pickle(folder, 'tst_mat', matrix(test))
    with pytest.raises(ValueError, match=message):
        IRLLRecDataset(tmp_path, 'amazon')


def test_interactions_in_two_matrices_are_counted(tmp_path):
    folder = write_dataset(tmp_path, text=False)
    write_pickle(folder, 'trn_mat', matrix([[0, 1], [0, 1]]))
    write_pickle(folder, 'val_mat', matrix([[0, 3, 4], [0, 3, 4]]))
    write_pickle(folder, 'tst_mat', matrix([[5, 3], [5, 3]]))
    with pytest.warns(UserWarning) as warned:
        IRLLRecDataset(tmp_path, 'amazon')
    assert [str(each.message) for each in warned] == [
        '1 of 3 interactions in val_mat.pkl are also in trn_mat.pkl',
        '1 of 3 interactions in val_mat.pkl are also in tst_mat.pkl',
    ]
    for split in ('val', 'tst'):
        write_pickle(folder, f'{split}_mat', matrix([[], []]))
    IRLLRecDataset(tmp_path, 'amazon')
