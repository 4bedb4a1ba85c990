from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.node_data import (
    check_split,
    find_sides,
    read_ids,
    read_texts,
    read_vectors,
)
from tests.layouts import RATES, amazon_book, link_split, movie_lens_1m


def test_sides_are_found_by_interactions():
    assert find_sides(movie_lens_1m(), None) == ('user', 'movie')
    assert find_sides(amazon_book(), None) == ('user', 'book')
    assert find_sides(HeteroData(), ['a', 'b']) == ('a', 'b')
    assert find_sides(HeteroData(), 'a') == ('a',)
    with pytest.raises(ValueError, match=r"'sides' must name the node types of users"):
        find_sides(HeteroData(), None)
    with pytest.raises(ValueError, match="'sides' must be at least one node type"):
        find_sides(HeteroData(), ['a', 'a'])


def test_reading():
    data = HeteroData()
    data['user'].num_nodes = 2
    assert list(read_ids(data, 'user')) == [0, 1]
    data['user'].id = torch.tensor([7, 5])
    assert read_ids(data, 'user') == [7, 5]
    data['user'].text, data['user'].profile = ['a', ''], torch.ones(2, 3).double()
    assert read_texts(data, 'user', 'text') == ['a', '']
    assert read_vectors(data, 'user', 'profile').dtype == torch.float32
    for read in (read_texts, read_vectors):
        with pytest.raises(ValueError, match=r"must hold data\['user'\].name, got no"):
            read(data, 'user', 'name')
        with pytest.raises(
            ValueError, match=r"nodes of type 'item', got .* types 'user'"
        ):
            read(data, 'item', 'text')
    with pytest.raises(ValueError, match=r"nodes of type 'item', got .* types 'user'"):
        read_ids(data, 'item')
    data['user', 'rates', 'item'].edge_index = torch.zeros(2, 1).long()
    with pytest.raises(ValueError, match=r"data\['item'\].num_nodes must be set"):
        read_ids(data, 'item')
    data['user'].id = ['a']
    with pytest.raises(ValueError, match='must hold one id per node, 2, got 1'):
        read_ids(data, 'user')


def test_splits_are_recognised():
    data = movie_lens_1m()
    check_split(data, RATES, unsplit=True)
    with pytest.raises(ValueError, match=r'must hold a split of .*unsplit=True'):
        check_split(data, RATES, unsplit=False)
    for split in (*link_split(),):
        check_split(split, RATES, unsplit=False)
    check_split(amazon_book(), ('user', 'rates', 'book'), unsplit=False)
