from __future__ import annotations

import copy
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import Dropout, Linear, Sequential
from torch_geometric.nn import GCNConv, MessagePassing

from pyg_irllrec.utils import UserItems, bipartite_edge_index
from pyg_irllrec.utils.digest import (
    describe_module,
    describe_tensor,
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
    # The same items of different users.
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
    assert expected == sketch(x.clone()) and len(expected) == 6
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


def test_a_tensor_of_several_chunks(monkeypatch):
    x = torch.randn(5000)
    whole = sketch(x)
    monkeypatch.setattr('pyg_irllrec.utils.digest._CHUNK', 2)
    assert sketch(x) == pytest.approx(whole)


def test_settings_of_a_module():
    part = Dropout(0.5)
    part.names, part.table = ('a', np.float64(2)), {'k': [1, None]}
    part.act, part.odd, part._hidden = torch.relu, object(), 3
    part._cache, part._seen, part.where = torch.ones(2), {}, torch.device('cpu')
    module = Sequential(Linear(2, 3), part)
    module[0].bias.requires_grad_(False)
    found = describe_module(module)
    assert found['class'] == 'Sequential' and found['1'] == 'Dropout'
    assert found['0.in_features'] == '2' and found['1.p'] == '0.5'
    assert found['1.names'] == "['a', 2.0]" and found['1.table'] == "['k', [1, None]]"
    assert found['1.act'] == 'relu' and found['frozen'] == '0.bias'
    assert found['1._hidden'] == '3' and found['1.odd'] == 'object'
    assert not {'1._cache', '1._seen', '1.where', '1.training'} & found.keys()
    module.eval()
    assert describe_module(module) == found


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Config:
    width: int
    names: set


def scaled(factor):
    def act(x):
        return x * factor

    return act


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        (lambda x: x, lambda x: x * 2),
        (scaled(1), scaled(2)),
        (partial(torch.clamp, min=1), partial(torch.clamp, min=2)),
        (torch.ones(3), torch.zeros(3)),
        (torch.arange(2**24, 2**24 + 5), torch.arange(2**24 + 1, 2**24 + 6)),
        (np.ones(3), np.zeros(3)),
        (UserItems(torch.eye(2).long(), 2, 2), UserItems(torch.eye(2).long(), 2, 3)),
        (torch.float16, torch.float32),
        (np.dtype('f4'), np.dtype('f8')),
        (Colour.RED, Colour.BLUE),
        ({'a', 'b'}, {'a', 'c'}),
        (Config(1, {'a'}), Config(2, {'a'})),
        (SimpleNamespace(p=1), SimpleNamespace(p=2)),
        ([torch.nn.ReLU()], [torch.nn.Tanh()]),
        (b'a', b'b'),
        (range(3), range(4)),
        ({'k': {'n': 1}}, {'k': {'n': 2}}),
    ],
)
def test_settings_of_any_kind_are_described(one, other):
    found = []
    for value in (one, copy.deepcopy(one), other):
        module = Dropout()
        module.value = value
        found.append(describe_module(module)['value'])
    assert found[0] == found[1] != found[2]


def test_a_setting_that_contains_itself():
    module = Dropout()
    module.value = [1]
    module.value.append(module.value)
    assert describe_module(module)['value'].startswith('[1, [1, [1')


@pytest.mark.parametrize(
    'value',
    [
        torch.arange(4),
        torch.tensor([True, False]),
        torch.tensor([1.0, -torch.inf]),
        torch.tensor([torch.nan]),
        torch.tensor([1 + 2j]),
        torch.eye(3).to_sparse(),
        torch.eye(3).to_sparse_csr(),
        torch.zeros(0),
        torch.tensor(3),
    ],
)
def test_tensors_of_any_kind(value):
    assert describe_tensor(value) == describe_tensor(value.clone())
    others = [torch.tensor([1.0, torch.inf]), torch.eye(4).to_sparse(), torch.ones(9)]
    assert describe_tensor(value) not in map(describe_tensor, others)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_vectors_of_different_precision(dtype):
    x = torch.nn.functional.normalize(torch.randn(700, 64))
    rounded = sketch(x.to(dtype))
    assert same_sketch(rounded, sketch(x))
    assert not same_sketch(rounded, sketch(-x.to(dtype)))
    # With the same dtype, only the rounding of sums is allowed.
    assert same_sketch(rounded, sketch(x.to(dtype)))
    other = x.to(dtype)
    other[3] = other[4]
    assert not same_sketch(rounded, sketch(other))


def test_the_code_of_a_function_is_shown_equally_in_every_process():
    """The order of a set of texts differs between processes."""
    functions = [
        eval(f'lambda x: x in {{{names}}}')
        for names in ("'a', 'b', 'c', 'd', 'e', 'f'", "'f', 'e', 'd', 'c', 'b', 'a'")
    ]
    found = []
    for function in functions:
        module = Dropout()
        module.act = function
        found.append(describe_module(module)['act'])
    assert found[0] == found[1]


def test_pyg_layers_are_described_without_a_change():
    before = vars(MessagePassing).copy()
    conv = GCNConv(3, 2, add_self_loops=False)
    found = describe_module(conv)
    assert vars(MessagePassing) == before
    assert found['add_self_loops'] == 'False'
    assert not any(name.startswith('_') for name in found)
