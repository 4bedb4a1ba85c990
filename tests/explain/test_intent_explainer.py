from __future__ import annotations

import copy
import math

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import LightGCN, Recommender
from pyg_irllrec.utils import bipartite_edge_index
from pyg_irllrec.utils.trained_nodes import hash_nodes, remember_nodes
from tests.explain.data import ITEMS, TRAIN, build, graph


def test_shares_and_lifts():
    explain = IntentExplainer(build(), graph())
    assert explain.embedding('item').tolist() == ITEMS
    first = math.exp(4) / (math.exp(4) + 1)
    assert explain.share('user')[0].tolist() == pytest.approx([first, 1 - first])
    assert explain.share('user')[3].tolist() == [0.5, 0.5]
    first = math.exp(2) / (math.exp(2) + 1)
    assert explain.share('item')[0].tolist() == pytest.approx([first, 1 - first])
    lift = explain.lift('item')
    assert lift.mean(dim=0).tolist() == pytest.approx([1, 1])
    assert lift[1, 1] > 1 > lift[1, 0]


def test_prototypes_with_a_temperature_use_cosines():
    model = build()
    model.backbone.user_prototypes.temperature = 0.5
    share = IntentExplainer(model, graph()).share('user')
    expected = model.backbone.user_prototypes.assign(model.eval().get_embeddings()[0])
    torch.testing.assert_close(share, expected)
    first = math.exp(2) / (math.exp(2) + 1)  # At a cosine of 1.
    assert share[0].tolist() == pytest.approx([first, 1 - first])


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_a_model_of_another_precision(dtype):
    data = SyntheticIntents(40, 60, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index
    torch.manual_seed(0)
    backbone = LightGCN(40, 60, 8, num_intents=4)
    model = Recommender(backbone, bipartite_edge_index(edges, 40, 60)).to(dtype)
    explain = IntentExplainer(model, data)
    assert explain.share('user').dtype == torch.float32
    assert explain.share('user').sum(dim=1).tolist() == pytest.approx([1] * 40)
    assert explain.recommendation(3, 17).rank >= 0


def test_odd_arguments():
    data = graph()
    with pytest.raises(
        ValueError, match='must have texts in one of title, intent_text'
    ):
        IntentExplainer(build(), data, sources=['title'])
    with pytest.raises(
        ValueError, match="'num_words' must be an integer of at least 1, got 0"
    ):
        IntentExplainer(build(), data, num_words=0)
    explain = IntentExplainer(build(), data)
    with pytest.raises(
        ValueError, match="'user' must be a node index from 0 to 3, got 4"
    ):
        explain.node('user', 4)
    with pytest.raises(
        ValueError, match="'item' must be a node index from 0 to 4, got -1"
    ):
        explain.recommendation(0, -1)
    with pytest.raises(ValueError, match="'side' must be"):
        explain.prototypes('film')
    for args in (('user', 1.5), ('user', '1'), ('user', None), ('user', True)):
        with pytest.raises(ValueError, match="'user' must be a node index"):
            explain.node(*args)
        with pytest.raises(ValueError, match="'user' must be a node index"):
            explain.recommendation(args[1], 0)
    assert explain.node('user', torch.tensor(1)).node == 1
    for side in ('film', 3, None):
        with pytest.raises(ValueError, match="'side' must be one of 'user', 'item'"):
            explain.node(side, 0)
    with pytest.raises(ValueError, match="'num_prototypes' must be an integer of at"):
        explain.node('user', 0, 1.5)
    for exclude, message in (
        ([[0], [1]], "'exclude' must be a tensor"),
        (torch.zeros(3, 2).long(), r"'exclude' must have shape \(2, num_edges\)"),
        (torch.zeros(2, 2), "'exclude' must hold integers"),
        (torch.tensor([[4], [0]]), r"'exclude \(users\)' must hold ids from 0 to 3"),
        (torch.tensor([[0], [5]]), r"'exclude \(items\)' must hold ids from 0 to 4"),
    ):
        with pytest.raises(ValueError, match=message):
            IntentExplainer(build(), data, exclude=exclude)
    assert IntentExplainer(build(), data, 'profile_text', 'text').node('user', 1).text
    data['user'].profile_text = data['user'].intent_text = ['', '1', '', '!']
    with pytest.raises(ValueError, match=r"data\['user'\]: .* must hold words"):
        IntentExplainer(build(), data).prototypes('user')
    broken = build()
    broken.backbone.table.data[1] = math.nan
    with pytest.raises(ValueError, match=r'user embeddings of model.* row 1'):
        IntentExplainer(broken, data)
    data['item'].num_nodes = 9
    with pytest.raises(ValueError, match="'data' must have the users and items"):
        IntentExplainer(build(), data)


def test_a_model_without_intents():
    explain = IntentExplainer(build(num_intents=0), graph())
    assert explain.prototypes('user') == [] and explain.lift('item').shape == (5, 0)
    assert explain.node('user', 0).active_prototypes == []
    found = explain.recommendation(0, 2)
    expected = IntentExplainer(build(), graph()).recommendation(0, 2)
    assert found.rank == expected.rank and found.score == expected.score
    assert [each.node for each, _ in found.similar] == [
        each.node for each, _ in expected.similar
    ]


@pytest.mark.parametrize(
    ('edges', 'message'),
    [
        (TRAIN[:, :3], r'graph of .model., got 3, of which 3 are the same'),
        (torch.cat([TRAIN, torch.tensor([[3], [4]])], 1), 'got 5, of which 4 are the'),
        (torch.tensor([[0, 0, 1, 3], [0, 1, 2, 1]]), 'got 4, of which 3 are the same'),
    ],
)
def test_other_interactions_than_those_of_the_model(edges, message):
    data = graph()
    data['user', 'rates', 'item'].edge_index = edges
    with pytest.raises(ValueError, match=message):
        IntentExplainer(build(), data)


def movies(layout):
    """The same graph with movies for items, in the given layout of interactions."""
    data = HeteroData()
    for side, other in (('user', 'user'), ('item', 'movie')):
        for key, value in graph()[side].items():
            data[other][key] = value
    data['user', 'rates', 'movie'].edge_index = TRAIN
    data['movie', 'rated_by', 'user'].edge_index = TRAIN.flip(0)
    if layout == 'disjoint':
        rates = data['user', 'rates', 'movie']
        rates.edge_index, rates.edge_label_index = TRAIN[:, 1:], TRAIN[:, :1]
        rates.edge_label = torch.ones(1)
        data['movie', 'rated_by', 'user'].edge_index = TRAIN[:, 1:].flip(0)
    return data


@pytest.mark.parametrize('layout', ['with its reverse', 'disjoint'])
def test_node_types_come_from_the_data(layout):
    explain = IntentExplainer(build(), movies(layout), num_nearest=1)
    expected = IntentExplainer(build(), graph(), num_nearest=1)
    movie, item = explain.node('movie', 1), expected.node('item', 1)
    assert movie.side == 'movie' and movie.text == item.text == 'love two'
    assert [each.words for each in explain.prototypes('movie')] == [
        each.words for each in expected.prototypes('item')
    ]
    found, same = (each.recommendation(0, 2) for each in (explain, expected))
    assert found.score == same.score and found.rank == same.rank == 2
    assert found.similar[0][0].node == same.similar[0][0].node
    with pytest.raises(ValueError, match="'side' must be one of 'user', 'movie', got"):
        explain.share('item')
    with pytest.raises(
        ValueError, match="'movie' must be a node index from 0 to 4, got 5"
    ):
        explain.recommendation(0, 5)


def test_given_edge_types():
    data = movies('with its reverse')
    data['movie', 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    with pytest.raises(ValueError, match="'edge_type' must name the interactions"):
        IntentExplainer(build(), data)
    types = ('user', 'rates', 'movie'), ('movie', 'rated_by', 'user')
    explain = IntentExplainer(build(), data, edge_type=types[0], rev_edge_type=types[1])
    assert explain.node('movie', 0).text == 'space one'


def test_swapped_arguments():
    with pytest.raises(
        ValueError, match="'model' must be a Recommender, got HeteroDat"
    ):
        IntentExplainer(graph(), build())
    with pytest.raises(ValueError, match=r"'data' needs .* a HeteroData, got Recommen"):
        IntentExplainer(build(), build())


def with_vectors():
    data = graph()
    for side in ('user', 'item'):
        data[side].profile = torch.randn(data[side].num_nodes, 3)
        data[side].intent = torch.randn(data[side].num_nodes, 3)
    return data


@pytest.mark.parametrize('name', ['profile', 'intent'])
def test_other_vectors_than_those_of_the_model(name):
    data = with_vectors()
    model = build_model(data, alignment='intents')
    IntentExplainer(model.bfloat16(), data)
    other = copy.copy(data)
    other['item'][name] = data['item'][name].flip(0)
    with pytest.raises(ValueError, match=rf'got different vectors in .*\.{name}'):
        IntentExplainer(model, other)


def test_other_item_texts_than_those_of_alpharec():
    data = with_vectors()
    model = build_model(data, 'alpharec', alignment='none')
    IntentExplainer(model, data)
    data['item'].profile = data['item'].profile.flip(0)
    with pytest.raises(
        ValueError, match=r"got different vectors in data\['item'\]\.profile"
    ):
        IntentExplainer(model, data)


@pytest.mark.parametrize('name', ['id', 'text'])
def test_ids_and_texts_of_another_training(name):
    data, model = graph(), build()
    data['item'].id = torch.arange(5)
    remember_nodes(model, hash_nodes(data, ('user', 'item')))
    IntentExplainer(model, data)
    other = copy.copy(data)
    value = data['item'][name]
    other['item'][name] = value.flip(0) if name == 'id' else value[::-1]
    with pytest.raises(ValueError, match=rf"the {name}s that 'model' was trained with"):
        IntentExplainer(model, other)
    del other['item'][name]
    if name == 'id':  # Without, nodes are shown by their numbers.
        IntentExplainer(model, other)
