from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import Dropout, Linear, Sequential

from pyg_irllrec.utils import UserItems, bipartite_edge_index
from pyg_irllrec.utils.digest import (
    describe_module,
    hash_graph,
    hash_interactions,
    same_sketch,
    sketch,
)

PAIRS = torch.tensor([[0, 0, 1, 2, 2], [0, 3, 1, 0, 2]])


def hashed(pairs: torch.Tensor, num_users: int = 3, num_items: int = 4) -> str:
    return hash_interactions(UserItems(pairs, num_users, num_items))


def test_interactions_are_a_set():
    expected = hashed(PAIRS)
    assert hashed(PAIRS[:, [4, 2, 0, 1, 3, 3]]) == expected
    assert hashed(PAIRS.int()) == expected
    others = [PAIRS[:, 1:], PAIRS[:, :1], PAIRS.clone()]
    others[-1][1, 0] = 1
    assert expected not in map(hashed, others)
    assert hashed(PAIRS, num_items=5) != expected
    # The same items, of other users.
    one = torch.tensor([[0, 0, 1], [0, 1, 2]])
    assert hashed(one) != hashed(torch.tensor([[0, 1, 1], [0, 1, 2]]))


def test_a_graph_of_any_type():
    graph = bipartite_edge_index(PAIRS, 3, 4)
    expected = hash_graph(graph, 7)
    edges = graph.as_tensor()
    assert hash_graph(edges, 7) == hash_graph(edges.int(), 7) == expected
    assert hash_graph(edges[:, 1:], 7) != expected
    assert hash_graph(edges.flip(0)[:, :4], 7) != hash_graph(edges[:, :4], 7)
    assert hash_graph(edges, 8) != expected


@pytest.mark.parametrize('shape', [(1,), (5, 3), (3000,), (700, 64)])
def test_vectors_are_the_same_up_to_rounding(shape):
    x = torch.randn(shape)
    expected = sketch(x)
    assert expected == sketch(x.clone()) and len(expected) == 5
    assert same_sketch(sketch(x.double() * (1 + 1e-8)), expected)
    noise = torch.randn(shape) * x.square().mean().sqrt() * 1e-7
    assert same_sketch(sketch(x + noise), expected)


def test_vectors_that_differ():
    x = torch.nn.functional.normalize(torch.randn(700, 64))
    expected = sketch(x)
    one, swapped = x.clone(), x.clone()
    one[613, 17] += 0.01
    swapped[[5, 400]] = x[[400, 5]]
    for other in (one, swapped, x.flip(1), -x, x[:-1], x * 1.001):
        assert not same_sketch(sketch(other), expected)
    assert not same_sketch(expected, None) and not same_sketch(expected, [1, 'x'])


def test_a_tensor_of_several_pieces(monkeypatch):
    x = torch.randn(5000)
    whole = sketch(x)
    monkeypatch.setattr('pyg_irllrec.utils.digest._CHUNK', 2)
    assert sketch(x) == pytest.approx(whole)


def test_settings_of_a_module():
    part = Dropout(0.5)
    part.names, part.table = ('a', np.float64(2)), {'k': [1, None]}
    part.act, part.odd, part._hidden = torch.relu, object(), 3
    module = Sequential(Linear(2, 3), part)
    module[0].bias.requires_grad_(False)
    found = describe_module(module)
    assert found['class'] == 'Sequential' and found['1'] == 'Dropout'
    assert found['0.in_features'] == '2' and found['1.p'] == '0.5'
    assert found['1.names'] == "['a', 2.0]" and found['1.table'] == "['k', [1, None]]"
    assert found['1.act'] == 'relu' and found['frozen'] == '0.bias'
    assert not {'1.odd', '1._hidden', '1.training'} & found.keys()
    module.eval()
    assert describe_module(module) == found
