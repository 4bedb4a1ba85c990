from __future__ import annotations

import pytest
import torch

from pyg_irllrec.serving import Nodes


def test_rows_of_ids():
    nodes = Nodes('item', ['b', '3', 'Å'])
    found = nodes.rows([' b ', 3, 'A\u030a', 3.0, torch.tensor(3)], 'items')
    assert found.tolist() == [0, 1, 2, 1, 1] and found.dtype == torch.long
    assert nodes.rows([], 'items').shape == (0,)
    assert nodes.row('b', 'item') == 0
    assert 3 in nodes and 'c' not in nodes and nodes[0] == 'b' and len(nodes) == 3


def test_ids_are_cleaned_on_both_sides():
    nodes = Nodes('item', ['  b ', '3.0', 'A\u030a'])
    assert nodes.rows(['b', '  b ', 3, '3.0', 'Å'], 'items').tolist() == [0, 0, 1, 1, 2]
    assert '  b ' in nodes and 'b' in nodes and nodes[0] == '  b '


def test_titles():
    nodes = Nodes('item', [1, 2], ['One', ''])
    assert [nodes.title(row) for row in range(2)] == ['One', '2']
    assert Nodes('item', [1, 2]).title(1) == '2'
    with pytest.raises(ValueError, match=r"got the title 'One'\. Its id is '1'"):
        nodes.row('One', 'item')


@pytest.mark.parametrize(
    ('ids', 'message'),
    [
        ('b', r"'items' must be a list of ids, got the single id 'b'. Pass \['b'\]"),
        (3, 'single id 3'),
        (b'b', 'list of ids, got bytes'),
        (None, 'list of ids, got NoneType'),
        (torch.tensor(3), 'list of ids, got Tensor'),
        (
            ['4'],
            r"'items' must hold ids of items, but there is no item '4' \(of 2, such",
        ),
        (['x' * 10**6], r"no item 'x{100}'"),
        ([[3]], r"no item '\[3\]'"),
    ],
)
def test_invalid_ids(ids, message):
    with pytest.raises(ValueError, match=message):
        Nodes('item', ['b', '3']).rows(ids, 'items')


def test_invalid_nodes():
    with pytest.raises(ValueError, match="'ids' must be distinct, got 1 duplicates"):
        Nodes('item', [1, '1'])
    with pytest.raises(
        ValueError, match="'titles' must have one title per item, 2, got 1"
    ):
        Nodes('item', [1, 2], ['One'])
