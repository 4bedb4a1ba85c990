from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from pyg_irllrec import build_model
from pyg_irllrec.nn import (
    EASE,
    BPRLoss,
    DirectAULoss,
    IntentNodeBackbone,
    ItemKNN,
    LightGCN,
    PairwiseAlignmentLoss,
    Popularity,
    Recommender,
    SoftmaxLoss,
)
from pyg_irllrec.presets import BACKBONES
from pyg_irllrec.serving._model_config import (
    OwnPartError,
    check_claims,
    model_config,
    model_tensors,
    take_solutions,
)
from pyg_irllrec.serving._model_config import (
    build_model as build_again,
)
from pyg_irllrec.transforms import IntentNodes
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils import UserItems, bipartite_edge_index
from tests.serving.bundles import small_data, small_model

USERS = torch.arange(60)


@pytest.fixture(scope='module')
def data():
    return small_data()[0]


def again(model: Recommender) -> Recommender:
    tensors = model_tensors(model.eval())
    config = json.loads(json.dumps(model_config(model, tensors)))
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    check_claims(config, shapes)
    found = build_again(
        config, {name: value.clone() for name, value in tensors.items()}
    )
    take_solutions(found, tensors)
    return found


def check(model: Recommender) -> Recommender:
    found = again(model)
    assert torch.equal(found.score(USERS), model.score(USERS))
    state = found.state_dict()
    for name, value in model.state_dict().items():
        assert state[name].dtype == value.dtype and torch.equal(state[name], value), (
            name
        )
    return found


def graph(data) -> Tensor:
    return bipartite_edge_index(data[RATES].edge_index, 60, 40)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('alignment', ['auto', 'reconstruction', 'full'])
def test_every_backbone_is_built_again(data, backbone, alignment):
    model = small_model(data, backbone, alignment)
    found = check(model)
    triplets = torch.tensor([[0, 1], [2, 3], [4, 5]])
    losses = []
    for each in (model, found):
        torch.manual_seed(0)
        losses.append(each.train().loss(triplets).total)
    assert torch.equal(*losses), 'it can be trained as before'


@pytest.mark.parametrize(
    'make',
    [
        lambda pairs: BPRLoss(),
        lambda pairs: DirectAULoss(0.5),
        lambda pairs: SoftmaxLoss(known=UserItems(pairs, 60, 40), num_samples=7),
        lambda pairs: SoftmaxLoss(popularity_weight=0.3, popularity=torch.ones(40)),
        lambda pairs: SoftmaxLoss(num_samples=3, sample_weight=torch.rand(40)),
    ],
)
def test_ranking_losses(data, make):
    ranking = make(data[RATES].edge_index)
    model = Recommender(LightGCN(60, 40, 8), graph(data), ranking=ranking)
    found = check(model)
    triplets = torch.tensor([[0, 1], [2, 3], [4, 5]])
    losses = []
    for each in (model, found):
        torch.manual_seed(0)
        losses.append(each.loss(triplets).total)
    assert torch.equal(*losses)


def test_companions_keep_their_chosen_options(data, monkeypatch):
    pairs = data[RATES].edge_index
    companions = [
        EASE(60, 40, pairs, item_text=data['item'].profile),
        ItemKNN(60, 40, pairs, num_neighbors=5),
        Popularity(60, 40, pairs),
    ]
    model = Recommender(LightGCN(60, 40, 8), graph(data), companions=companions)
    sizes = 60, 40
    val = UserItems(data[RATES].val_edge_label_index, *sizes)
    model.calibrate(val, UserItems(pairs, *sizes), k=5)
    model.blend_weight.copy_(torch.tensor([0.4, 0.2, 0.3, 0.1]))
    found = check(model)
    for one, other in zip(model.companions, found.companions):
        assert one.options == other.options


def test_companions_without_a_weight_are_not_solved(data):
    ease = EASE(60, 40, data[RATES].edge_index)
    model = Recommender(LightGCN(60, 40, 8), graph(data), companions=[ease])
    assert not any('solution' in name for name in model_tensors(model))
    check(model)


def test_intents_as_nodes(data):
    nodes = IntentNodes(6)(data)
    wants, serves = nodes['user', 'has', 'intent'], nodes['item', 'has', 'intent']
    backbone = IntentNodeBackbone(
        LightGCN(60, 46, 8),
        40,
        wants.edge_index,
        serves.edge_index,
        wants.edge_weight,
        serves.edge_weight,
        weight=0.5,
    )
    check(Recommender(backbone, graph(data), torch.rand(graph(data).size(1))))


def test_precision_and_frozen_weights(data):
    model = Recommender(LightGCN(60, 40, 8), graph(data), normalize=True).double()
    model.backbone.user_embedding.weight.requires_grad_(False)
    found = check(model)
    assert not found.backbone.user_embedding.weight.requires_grad
    assert found.backbone.item_embedding.weight.requires_grad
    assert found.edge_weight.dtype == torch.float64 and not found.training


class OwnBackbone(LightGCN):
    pass


def with_replaced_loss(data) -> Recommender:
    model = build_model(data, alignment='full')
    model.alignment.item_intent = PairwiseAlignmentLoss(0.7)
    return model


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (
            lambda data: Recommender(OwnBackbone(60, 40, 8), graph(data)),
            'backbone is a OwnBackbone',
        ),
        (
            lambda data: Recommender(
                LightGCN(60, 40, 8), graph(data), ranking=torch.nn.ReLU()
            ),
            'ranking is a ReLU',
        ),
        (
            with_replaced_loss,
            r'differs from a rebuilt one in alignment\.item_intent\.temperature',
        ),
    ],
)
def test_own_parts(data, make, message):
    model = make(data)
    with pytest.raises(OwnPartError, match=message):
        model_config(model, model_tensors(model))


def test_only_classes_of_the_list_are_built(data):
    model = Recommender(LightGCN(60, 40, 8), graph(data))
    tensors = model_tensors(model)
    config = model_config(model, tensors)
    for name in ('os.system', 'Module', 'EASE'):
        with pytest.raises(ValueError, match='is not a Recommender of this package'):
            build_again(config | {'class': name}, tensors)
    with pytest.raises(ValueError, match='has no arguments extra'):
        arguments = config['arguments'] | {'extra': 1}
        build_again(config | {'arguments': arguments}, tensors)
