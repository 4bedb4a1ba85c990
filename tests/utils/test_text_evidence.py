from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.utils.text_evidence import text_evidence


@pytest.fixture(scope='module')
def data():
    return SyntheticIntents(num_users=200, num_items=100)[0]


@pytest.mark.parametrize('side', ['user', 'item'])
def test_texts_of_the_nodes_and_of_other_nodes(data, side):
    user, item = data['user', 'rates', 'item'].edge_index
    pairs = (user, item) if side == 'user' else (item, user)
    texts = data[side].profile
    assert text_evidence(texts, *pairs) > 10
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        shuffled = texts[torch.randperm(len(texts), generator=generator)]
        assert abs(text_evidence(shuffled, *pairs)) < 5


def test_is_the_same_for_the_same_seed(data):
    user, item = data['user', 'rates', 'item'].edge_index
    texts = data['user'].profile
    found = [text_evidence(texts, user, item, seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_is_the_same_in_any_order(data):
    edges = data['user', 'rates', 'item'].edge_index
    other = torch.cat([edges.flip(1), edges[:, :9]], dim=1)
    texts = data['user'].profile
    assert text_evidence(texts, *edges) == text_evidence(texts, *other)


def test_rows_of_zeros_are_not_texts():
    torch.manual_seed(0)
    texts = torch.randn(40, 8)
    texts[20:] = texts[:20]
    # Twins have a common neighbour, and so do equally many nodes without texts.
    node = torch.arange(80)
    group = torch.cat([torch.arange(20), torch.arange(20), torch.arange(40) + 20])
    padded = torch.cat([texts, torch.zeros(40, 8)])
    expected = text_evidence(texts, node[:40], group[:40])
    assert expected > 5
    assert text_evidence(padded, node, group) > 5


def test_nothing_in_common():
    texts = torch.eye(4)
    nodes = torch.arange(4)
    assert text_evidence(texts, nodes, nodes) == 0
    assert text_evidence(torch.zeros(4, 4), nodes, torch.zeros(4).long()) == 0
    assert text_evidence(torch.ones(4, 4), nodes, torch.zeros(4).long()) == 0
