from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.nn import GraphSAGE

import pyg_irllrec
from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    AlphaRec,
    ItemKNN,
    LightGCN,
    ModuleBackbone,
    Popularity,
    RLMRecGen,
    SoftmaxLoss,
)
from pyg_irllrec.presets import ALIGNMENTS, BACKBONES, auto_preset, get_preset

TERMS = {
    'auto': set(),
    'none': set(),
    'profile': {'profile'},
    'reconstruction': {'reconstruction'},
    'intents': {'profile', 'intent'},
    'full': {'profile', 'intent', 'translation', 'matching'},
}


@pytest.fixture(scope='module')
def data() -> HeteroData:
    return SyntheticIntents(num_users=60, num_items=40)[0]


def triplets(data: HeteroData) -> Tensor:
    user, item = data['user', 'rates', 'item'].edge_index
    return torch.stack([user[:9], item[:9], item[9:18]])


@pytest.mark.parametrize('backbone', BACKBONES)
def test_every_backbone_with_every_alignment(data, backbone):
    for alignment in ALIGNMENTS:
        for variant in ('sound', 'authors')[: 1 + (alignment != 'auto')]:
            preset = get_preset(backbone, 'synthetic', alignment, variant)
            model = build_model(data, backbone, alignment, preset)
            total, terms = model.loss(triplets(data))
            total.backward()
            own = {'contrast', 'center', 'prototype'}
            assert terms.keys() - own == {'ranking', 'l2'} | TERMS[alignment]
            for name, weight in model.named_parameters():
                assert weight.grad is not None and weight.grad.isfinite().all(), name


def test_backbones_of_your_own(data):
    torch.manual_seed(0)
    given = build_model(data, LightGCN(60, 40, 8, num_intents=4), 'full')
    torch.manual_seed(0)
    built = build_model(data, lambda u, i: LightGCN(u, i, 8, num_intents=4), 'full')
    state = built.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in given.state_dict().items())
    sage = ModuleBackbone(GraphSAGE(8, 8, 1), 60, 40, 8)
    assert build_model(data, sage, 'none').backbone is sage
    # A class is also a function of the sizes.
    assert build_model(data, LightGCN, 'none').backbone.embedding_dim == 32


def test_auto_reads_the_texts_that_there_are(data):
    model = build_model(data)
    widths = [data['item'][name].size(1) for name in ('profile', 'intent')]
    assert model.features.shape == (100, sum(min(100, width) for width in widths))
    torch.testing.assert_close(model.features.norm(dim=1), torch.ones(100))
    (ease,) = model.companions
    torch.testing.assert_close(
        ease.item_text, torch.nn.functional.normalize(data['item'].profile)
    )
    assert isinstance(model.ranking, SoftmaxLoss) and model.normalize
    bare = copy.copy(data)
    for side, name in product(('user', 'item'), ('profile', 'intent')):
        del bare[side][name]
    model = build_model(bare)
    assert model.features is None and model.companions[0].item_text is None
    assert not model.backbone.num_intents and 'prototype' not in model._terms(
        triplets(data), None
    )


def test_auto_without_texts_of_users(data):
    data = copy.copy(data)
    del data['user'].profile, data['user'].intent
    model = build_model(data)
    assert model.features is None
    assert model.companions[0].item_text is not None


def test_auto_with_a_backbone_without_features():
    class NoFeatures(LightGCN):
        def node_features(self) -> None:
            return None

    data = SyntheticIntents(num_users=60, num_items=40)[0]
    assert build_model(data, NoFeatures).features is None


def test_features_are_no_wider_than_there_are_texts(data):
    data = copy.copy(data)
    for side in ('user', 'item'):
        few = torch.zeros(data[side].num_nodes, 50)
        few[:10] = torch.randn(10, 50, generator=torch.Generator().manual_seed(0))
        data[side].profile, data[side].intent = few, torch.zeros_like(few)
    preset = choose_preset(data) | {'features': {'dim': 128, 'whiten': True}}
    assert build_model(data, preset=preset).features.shape == (100, 20)


def test_a_backbone_of_your_own_keeps_its_prototypes(data):
    model = build_model(data, LightGCN(60, 40, 8, num_intents=4))
    assert model.prototype_weight > 0
    assert build_model(data, LightGCN(60, 40, 8)).prototype_weight == 0


def test_the_preset_follows_the_data(data):
    count = data['user', 'rates', 'item'].edge_index.size(1)
    assert choose_preset(data) == auto_preset('lightgcn', 60, 40, count, True)
    assert choose_preset(data, 'sgl', 'none') == get_preset('sgl', 'own', 'none')


@pytest.mark.parametrize('side', ['user', 'item'])
def test_texts_of_other_nodes_are_left_out(data, side):
    data = copy.copy(data)
    for name in ('profile', 'intent'):
        data[side][name] = data[side][name].flip(0)
    preset = choose_preset(data)
    assert preset['features'] == {} and 'prototype_weight' not in preset['model']
    text_weight = preset['companions']['ease'].get('text_weight')
    assert text_weight == (0 if side == 'item' else None)
    assert build_model(data).features is None


def test_any_alignment_may_be_ranked_otherwise_and_blended(data):
    preset = get_preset('lightgcn', 'own', 'full') | {
        'ranking': {'temperature': 0.3},
        'features': {'dim': 5},
        'companions': {'item_knn': {'exponent': 0.5}, 'popularity': {}},
    }
    model = build_model(data, alignment='full', preset=preset)
    assert model.ranking.temperature == 0.3
    assert model.features.shape == (100, 10)
    knn, popularity = model.companions
    assert isinstance(knn, ItemKNN) and knn.options == {'exponent': 0.5}
    assert isinstance(popularity, Popularity)


@pytest.mark.parametrize(
    ('part', 'value', 'message'),
    [
        ('companions', {'als': {}}, "'companions'.*must be one of 'popularity'"),
        (
            'companions',
            {'ease': 3},
            "'ease'.* must be a dictionary",
        ),
        (
            'ranking',
            {'tau': 1},
            "'ranking'.* arguments of SoftmaxLoss",
        ),
        (
            'features',
            {'width': 1},
            "'features'.* arguments of ReduceText",
        ),
    ],
)
def test_parts_of_the_preset_are_checked(data, part, value, message):
    with pytest.raises(ValueError, match=message):
        build_model(data, preset=choose_preset(data) | {part: value})


def test_texts_under_other_names(data):
    other = HeteroData()
    other['user', 'rates', 'item'].edge_index = data['user', 'rates', 'item'].edge_index
    for side in ('user', 'item'):
        other[side].num_nodes = data[side].num_nodes
        other[side].p, other[side].i = data[side].profile, data[side].intent
    model = build_model(other, alignment='full', profile='p', intent='i')
    assert torch.equal(model.profile[:60], data['user'].profile)
    assert torch.equal(model.intent[60:], data['item'].intent)
    assert isinstance(
        build_model(other, 'sgl', 'reconstruction', profile='p'), RLMRecGen
    )
    model = build_model(other, 'alpharec', 'none', profile='p')
    assert isinstance(model.backbone, AlphaRec)


def test_other_node_types():
    graph = HeteroData()
    graph['reader'].num_nodes, graph['book'].num_nodes = 3, 4
    edge_index = torch.tensor([[0, 1, 2], [3, 1, 0]])
    graph['reader', 'buys', 'book'].edge_index = edge_index
    model = pyg_irllrec.build_model(graph, alignment='none')
    assert (model.num_users, model.num_items) == (3, 4)
    # The reverse edges may also exist.
    graph['book', 'rev_buys', 'reader'].edge_index = edge_index.flip(0)
    again = build_model(graph, alignment='none')
    assert torch.equal(again.edge_index.as_tensor(), model.edge_index.as_tensor())
    # If several edge types are possible, one must be named.
    del graph['book', 'rev_buys', 'reader']
    graph['reader', 'views', 'book'].edge_index = edge_index[:, :2]
    with pytest.raises(ValueError, match='edge_type'):
        build_model(graph, alignment='none')
    named = build_model(graph, alignment='none', edge_type=('reader', 'views', 'book'))
    assert named.edge_index.size(1) == 4


def test_intents_without_weights_are_pairwise(data):
    full = get_preset('lightgcn', 'synthetic', 'full')
    for loss in ({}, {'intent_weight': 0.5}, full['loss']):
        preset = {'backbone': {'num_intents': 4}, 'loss': loss}
        terms = build_model(data, alignment='intents', preset=preset).loss(
            triplets(data)
        )[1]
        assert terms.keys() == {'ranking', 'l2', 'profile', 'intent'}


@pytest.mark.parametrize(
    ('alignment', 'other', 'message'),
    [
        (
            'intents',
            'full',
            r"'loss'\] must have .* translation_weight=0.*'intents', got",
        ),
        ('full', 'intents', r"'loss'\] must have translation_weight or.*'full', got"),
        ('full', 'reconstruction', r"'loss'\] must have translation_weight or"),
        (
            'reconstruction',
            'full',
            r"'model'\] must .* RLMRecGen .* got l2_teacher, mom",
        ),
    ],
)
def test_a_preset_of_another_alignment(data, alignment, other, message):
    preset = get_preset('lightgcn', 'synthetic', other, 'authors')
    with pytest.raises(ValueError, match=message):
        build_model(data, alignment=alignment, preset=preset)


def test_a_preset_with_other_texts_than_the_alignment_reads(data):
    preset = get_preset('lightgcn', 'synthetic', 'full')
    terms = build_model(data, alignment='profile', preset=preset).loss(triplets(data))
    assert terms[1].keys() == {'ranking', 'l2', 'profile', 'prototype'}


def test_bad_input(data):
    bare = HeteroData()
    bare['user'].num_nodes, bare['item'].num_nodes = 60, 40
    bare['user', 'rates', 'item'].edge_index = data['user', 'rates', 'item'].edge_index
    uneven = bare.clone()
    uneven['user'].profile, uneven['item'].profile = (
        torch.ones(60, 2),
        torch.ones(40, 3),
    )
    empty = bare.clone()
    empty['user', 'rates', 'item'].edge_index = torch.empty(2, 0, dtype=torch.long)
    none = {'alignment': 'none'}
    for graph, arguments, message in (
        (data, {'backbone': 'ngcf'}, "'backbone' must be one of 'lightgcn'"),
        (data, {'alignment': 'all'}, "'alignment' must be one of 'auto'"),
        (data, none | {'backbone': GraphSAGE(8, 8, 1)}, 'ModuleBackbone'),
        (data, none | {'backbone': lambda u, i: None}, 'got NoneType'),
        (data, none | {'backbone': 3}, 'got int'),
        (
            data,
            none | {'backbone': LightGCN(60, 41)},
            "40 items of 'data', got 60",
        ),
        (
            data,
            {'preset': {'training': {}}},
            "'preset' must .* keys among 'backbone'",
        ),
        (data, {'preset': 'sound'}, "'preset' must be a dictionary"),
        (data, {'preset': {'model': None}}, r"preset\['model'\] must be a dict.* None"),
        (
            data,
            {'preset': get_preset('sgl', 'own', 'full')},
            r"preset\['backbone'\] .* LightGCN for backbone='lightgcn'.*, got dropout",
        ),
        (
            data,
            {'alignment': 'profile', 'preset': {'loss': {'profile_weight': 0}}},
            r"preset\['loss'\] must have profile_weight above 0",
        ),
        (
            data,
            {'backbone': LightGCN, 'alignment': 'full'},
            "'intent' texts need a backbone that computes intents",
        ),
        (
            bare,
            {'alignment': 'full'},
            r"'full' needs text .* in data\['user'\].profile, got none",
        ),
        (bare, none | {'backbone': 'alpharec'}, "backbone='alpharec' needs text"),
        (
            uneven,
            {'alignment': 'profile'},
            'same number of columns, got 2 and 3',
        ),
        (
            uneven,
            {'preset': choose_preset(data)},
            'same number of columns, got 2 and 3',
        ),
        (
            empty,
            {},
            r"'data' must have interactions, got none of type \('user'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            build_model(graph, **arguments)


def test_the_argument_that_is_wrong_is_named(data):
    with pytest.raises(ValueError, match=r"'data' needs .* a HeteroData, got list"):
        build_model([data])
    for backbone in (GraphSAGE, GraphSAGE(4, 4, 1), 3):
        with pytest.raises(
            ValueError, match=r"'backbone' must be a name, a Backbone, "
        ):
            build_model(data, backbone, 'none')
    bare = copy.copy(data)
    del bare['item'].profile
    with pytest.raises(ValueError, match='or choose another backbone, such as') as got:
        build_model(bare, 'alpharec', 'none')
    assert 'alignment' not in str(got.value)
