from __future__ import annotations

import pytest
import torch

from pyg_irllrec.cli.load_dataset import load_dataset
from tests.datasets.files import NUM_USERS, write_dataset


def test_by_name(tmp_path):
    write_dataset(tmp_path, 'yelp')
    data = load_dataset('yelp', tmp_path, ('profile', 'intent'))
    assert data['user'].num_nodes == NUM_USERS and 'intent' in data['item']
    one, other = (load_dataset('synthetic', seed=seed) for seed in (0, 1))
    assert not torch.equal(one['user'].profile, other['user'].profile)


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match='--root must name the folder'):
        load_dataset('movie')
    with pytest.raises(ValueError, match="'dataset' must be one of 'synthetic'"):
        load_dataset('books', tmp_path)
    with pytest.raises(FileNotFoundError):
        load_dataset('amazon', tmp_path)
