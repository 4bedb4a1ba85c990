from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import node_dropout
from tests.adjacency import NUM_NODES, edges


def test_drops_all_edges_of_a_node(generator):
    index, weight = edges()
    out = node_dropout(index, weight, NUM_NODES, 0.4, generator)
    draw = torch.rand(NUM_NODES, generator=torch.Generator().manual_seed(0))
    kept = draw >= 0.4
    expected = weight * (kept[index[0]] & kept[index[1]])
    assert torch.equal(out, expected)
    assert 0 < int((out == 0).sum()) < len(out)


def test_wrong_probability():
    with pytest.raises(ValueError, match="'p' must be at least 0 and below 1, got 1"):
        node_dropout(*edges(), NUM_NODES, 1)


def test_wrong_edges():
    index, weight = edges()
    for wrong, message in (
        (index - 1, f'must hold ids from 0 to {NUM_NODES - 1}, got ids from -1 to 6'),
        (index.to(torch.uint8), "'edge_index' must have dtype torch.int64"),
        (index[:, 1:], "'edge_weight' must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            node_dropout(wrong, weight, NUM_NODES, 0.5)
