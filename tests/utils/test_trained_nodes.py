from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Linear
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.text_array import TextArray
from pyg_irllrec.utils.trained_nodes import (
    check_trained_nodes,
    hash_nodes,
    remember_nodes,
)

SIDES = ('reader', 'book')


def make(**values):
    data = HeteroData()
    data['reader'].num_nodes = 2
    for name, value in values.items():
        data['book'][name] = value
    return data


def test_the_same_in_any_container():
    texts = ['a', 'bc', '', '\ud800'] * 2000
    found = hash_nodes(make(text=texts), SIDES)
    assert found.keys() == {'item.text'}
    assert hash_nodes(make(text=tuple(texts)), SIDES) == found
    plain = texts[:3]
    assert hash_nodes(make(text=TextArray(plain)), SIDES) == hash_nodes(
        make(text=plain), SIDES
    )
    for others in (texts[1:], texts[::-1], ['ab', 'c', '', '\ud800'] * 2000):
        assert hash_nodes(make(text=others), SIDES) != found
    ids = hash_nodes(make(id=torch.arange(3)), SIDES)
    assert hash_nodes(make(id=[0, 1, 2]), SIDES) == ids
    assert hash_nodes(make(id=np.arange(3, dtype=np.int32)), SIDES) == ids
    assert hash_nodes(make(id=['0', '1', '2']), SIDES) != ids


def test_known_hashes_are_compared():
    model, data = Linear(1, 1), make(id=[1, 2], text=['a', 'b'])
    check_trained_nodes(model, data, SIDES)
    remember_nodes(model, hash_nodes(data, SIDES))
    check_trained_nodes(model, data, SIDES)
    check_trained_nodes(model, make(id=[1, 2]), SIDES)
    with pytest.raises(
        ValueError, match=r"ids that .* different values in data\['book'\]\.id"
    ):
        check_trained_nodes(model, make(id=[2, 1]), SIDES)
