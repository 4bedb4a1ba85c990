"""The properties that all modules share."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch_geometric.nn import LGConv
from torch_geometric.nn.inits import reset

from pyg_irllrec import nn
from pyg_irllrec.testing import BackboneTests

TESTS = BackboneTests()
GRAPH, TEXTS = TESTS.edge_index, TESTS.texts()
ITEM_TEXT = TEXTS['profile'][6:]
SIZES = (6, 7, 4)
INTENT_EDGES = torch.tensor([[0, 1, 2], [0, 1, 1]])


def backbone():
    return nn.LightGCN(*SIZES, num_intents=2)


MODULES = {
    'AlphaRec': lambda: nn.AlphaRec(
        6, 7, ITEM_TEXT, TESTS.interactions, 4, num_intents=2
    ),
    'BIGCF': lambda: nn.BIGCF(*SIZES, num_intents=2, eps=1e-8),
    'BPRLoss': nn.BPRLoss,
    'Backbone': lambda: nn.Backbone(*SIZES, num_intents=2),
    'ContrastiveBackbone': lambda: nn.ContrastiveBackbone(*SIZES, num_intents=2),
    'DCCF': lambda: nn.DCCF(*SIZES, num_intents=2),
    'DirectAULoss': lambda: nn.DirectAULoss(0.5),
    'EASE': lambda: nn.EASE(6, 7, TESTS.interactions, item_text=ITEM_TEXT),
    'EmbeddingBackbone': lambda: nn.EmbeddingBackbone(*SIZES, num_layers=2),
    'FeatureMap': lambda: nn.FeatureMap(3, 4),
    'IRLLRec': lambda: nn.IRLLRec(backbone(), GRAPH, **TEXTS, l2_weight=0.1),
    'IntentAlignmentLoss': nn.IntentAlignmentLoss,
    'IntentLGConv': nn.IntentLGConv,
    'IntentNodeBackbone': lambda: nn.IntentNodeBackbone(
        nn.LightGCN(6, 7 + 2, 4), 7, INTENT_EDGES, INTENT_EDGES
    ),
    'IntentPrototypes': lambda: nn.IntentPrototypes(4, 2),
    'InteractionTextMatchingLoss': nn.InteractionTextMatchingLoss,
    'ItemKNN': lambda: nn.ItemKNN(6, 7, TESTS.interactions, shrinkage=0.5),
    'LightGCN': lambda: nn.LightGCN(*SIZES, num_intents=2, edge_dropout=0.1),
    'ModuleBackbone': lambda: nn.ModuleBackbone(LGConv(), *SIZES),
    'MomentumEncoder': lambda: nn.MomentumEncoder(nn.TextProjector(3, 4), 0.5),
    'PairwiseAlignmentLoss': nn.PairwiseAlignmentLoss,
    'Popularity': lambda: nn.Popularity(6, 7, TESTS.interactions),
    'RLMRecGen': lambda: nn.RLMRecGen(
        backbone(), GRAPH, profile=TEXTS['profile'], mask_ratio=0.3
    ),
    'Ranker': lambda: nn.Ranker(6, 7),
    'Recommender': lambda: nn.Recommender(backbone(), GRAPH),
    'SGL': lambda: nn.SGL(*SIZES, augmentation='node', duplicates=True),
    'SimGCL': lambda: nn.SimGCL(*SIZES, noise=0.3, contrast_impl='eager'),
    'SoftmaxLoss': lambda: nn.SoftmaxLoss(0.2, normalize=False),
    'TextProjector': lambda: nn.TextProjector(3, 4),
    'TranslationAlignmentLoss': nn.TranslationAlignmentLoss,
    'TwoViewBackbone': lambda: nn.TwoViewBackbone(*SIZES, negatives='batch'),
}


def build(name, seed=0):
    torch.manual_seed(seed)
    return MODULES[name]()


def test_none_is_left_out():
    public = {
        name
        for name in nn.__all__
        if inspect.isclass(each := getattr(nn, name))
        and issubclass(each, torch.nn.Module)
    }
    assert public == MODULES.keys()


@pytest.mark.parametrize('name', MODULES)
def test_reset_parameters_gives_a_new_module(name):
    new = build(name)
    state = torch.get_rng_state()
    used = build(name, seed=1)
    with torch.no_grad():
        for value in used.state_dict().values():
            value.add_(1)
    torch.manual_seed(0)
    if used.state_dict():
        used.reset_parameters()
    else:
        reset(used)
    assert torch.equal(torch.get_rng_state(), state)
    after = used.state_dict()
    for key, value in new.state_dict().items():
        assert torch.equal(after[key], value), key


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('AlphaRec', 'num_users=6, num_items=7, embedding_dim=4, num_intents=2'),
        ('BIGCF', 'num_intents=2, eps=1e-08)'),
        ('EmbeddingBackbone', 'embedding_dim=4, num_layers=2)'),
        ('IRLLRec', 'num_items=7\n  (backbone): LightGCN(num_users=6'),
        ('IRLLRec', 'l2_weight=0.1, '),
        ('DirectAULoss', 'DirectAULoss(uniformity_weight=0.5)'),
        ('EASE', 'EASE(num_users=6, num_items=7)'),
        ('ItemKNN', 'ItemKNN(num_users=6, num_items=7, shrinkage=0.5)'),
        ('IntentNodeBackbone', '(backbone): LightGCN(num_users=6, num_items=9'),
        ('IntentPrototypes', 'IntentPrototypes(embedding_dim=4, num_intents=2)'),
        (
            'LightGCN',
            'LightGCN(num_users=6, num_items=7, embedding_dim=4, num_intents=2, '
            'edge_dropout=0.1)',
        ),
        ('ModuleBackbone', '(module): LGConv()'),
        ('MomentumEncoder', 'momentum=0.5'),
        ('RLMRecGen', 'mask_ratio=0.3'),
        ('Recommender', '(backbone): LightGCN(num_users=6'),
        ('SGL', "augmentation='node', duplicates=True)"),
        ('SimGCL', "noise=0.3, contrast_impl='eager')"),
        ('SoftmaxLoss', 'SoftmaxLoss(temperature=0.2, normalize=False)'),
        ('TextProjector', 'TextProjector(in_channels=3, out_channels=4, hidden'),
        ('TwoViewBackbone', "embedding_dim=4, negatives='batch')"),
    ],
)
def test_repr_shows_the_arguments(name, shown):
    assert shown in str(build(name))


def test_repr_of_a_subclass_shows_inherited_arguments():
    class Mine(nn.LightGCN):
        def __init__(self, num_users, num_items):
            super().__init__(num_users, num_items, 4, num_layers=1)

    expected = 'Mine(num_users=6, num_items=7, embedding_dim=4, num_layers=1)'
    assert str(Mine(6, 7)) == expected


@pytest.mark.parametrize(
    'name', [name for name in MODULES if issubclass(getattr(nn, name), nn.Backbone)]
)
def test_a_backbone_names_its_arguments_and_refuses_others(name):
    cls = getattr(nn, name)
    parameters = inspect.signature(cls).parameters
    sizes = ['num_users', 'num_items', 'embedding_dim']
    by_position = []
    for key, parameter in parameters.items():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            by_position.append(key)
        else:
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert parameter.default is not parameter.empty
        assert f'        {key} (' in cls.__doc__, f'{key} is not documented'
    others = {'module', 'item_text', 'interactions'}
    if cls is not nn.IntentNodeBackbone:  # It has the sizes of another backbone.
        assert [key for key in by_position if key not in others] == sizes
    given = dict.fromkeys(by_position, 1)
    with pytest.raises(TypeError, match=f"^{name}.*unexpected.*'layers'"):
        cls(**given, layers=2)


CHOICES = {
    'augmentation': 'node',
    'contrast_impl': 'eager',
    'impl': 'eager',
    'negatives': {'all': 'batch', 'batch': 'all'},
}


@pytest.mark.parametrize(
    'name', [name for name in MODULES if issubclass(getattr(nn, name), nn.Backbone)]
)
def test_a_backbone_stores_its_arguments(name):
    parameters = inspect.signature(getattr(nn, name)).parameters
    given = {}
    for key, parameter in parameters.items():
        default = parameter.default
        if isinstance(default, bool):
            given[key] = not default and key != 'hetero'
        elif isinstance(default, int):
            given[key] = default + 3
        elif isinstance(default, float):
            given[key] = default / 2 + 0.125
        elif key in CHOICES:
            choice = CHOICES[key]
            given[key] = choice[default] if isinstance(choice, dict) else choice
    required = {
        'AlphaRec': (6, 7, ITEM_TEXT, TESTS.interactions),
        'IntentNodeBackbone': (nn.LightGCN(6, 7 + 2, 4), 7, INTENT_EDGES, INTENT_EDGES),
        'ModuleBackbone': (LGConv(), 6, 7),
    }.get(name, (6, 7))
    if 'embedding_dim' in parameters:
        given.setdefault('embedding_dim', 4)
    module = getattr(nn, name)(*required, **given)
    held = {key: getattr(module, key) for key in given if hasattr(module, key)}
    assert held == {key: given[key] for key in held}
    read = {'num_layers', 'impl', 'temperature', 'noise', 'weight'}
    assert held.keys() >= given.keys() & read
