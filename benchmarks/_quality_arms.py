r"""The arms of :mod:`benchmarks.quality`: names, search spaces, training and metrics.

The name of an arm is a list of words joined by dashes, for example :obj:`ease`,
:obj:`ease-profile`, :obj:`lightgcn-softmax-none`, :obj:`sgl-bpr-full-d32` or
:obj:`auto`. The words are, in this order:

- the model: a closed form, a backbone, or :obj:`auto`. :obj:`auto` is the default of
  the package, whose companion alone is tuned. It uses texts unless :obj:`none` follows;
- for a backbone, its ranking loss, a key of :obj:`LOSSES`;
- the texts, a key of :obj:`TEXTS`;
- for a backbone, options: :obj:`dN` for width N (default: 64); :obj:`kN` for N intents;
  :obj:`blend` to add EASE on the same texts, tuned before, as a companion;
- :obj:`recipe` for the authors' hyper-parameters of the dataset (of amazon, if they
  have none), without tuning.

A hyper-parameter is named PART.ARGUMENT. The part is a part of a preset,
:obj:`companion`, or, for a closed form, :obj:`model`.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union

import torch
from optuna.distributions import BaseDistribution
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData
from torch_geometric.metrics import (
    LinkPredAveragePopularity,
    LinkPredCoverage,
    LinkPredMetricCollection,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)

from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.functional import unit_norm
from pyg_irllrec.nn import (
    EASE,
    Backbone,
    DirectAULoss,
    IntentAlignmentLoss,
    IntentNodeBackbone,
    IRLLRec,
    ItemKNN,
    Popularity,
    Ranker,
    Recommender,
    SoftmaxLoss,
)
from pyg_irllrec.presets import (
    ALIGNMENT_TEXTS,
    AUTHORS_DATASETS,
    BACKBONES,
    Preset,
    get_preset,
)
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.training._search_space import to_distributions
from pyg_irllrec.training.default_space import (
    CONTRAST_SPACE,
    FULL_SPACE,
    GRAPH_SPACE,
    INTENT_SPACE,
    PROFILE_SPACE,
    SOFTMAX_SPACE,
    Space,
)
from pyg_irllrec.transforms import IntentNodes, ReduceText
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils import UserItems, bipartite_edge_index

Params = dict[str, Union[float, int, str]]
Metrics = dict[str, float]

CLOSED = {'popularity': Popularity, 'itemknn': ItemKNN, 'ease': EASE}
LOSSES: dict[str, Optional[type[Module]]] = {
    'bpr': None,  # The backbone's own.
    'softmax': SoftmaxLoss,
    'directau': DirectAULoss,
}
TEXTS: dict[str, tuple[str, Optional[str]]] = {
    'none': ('none', None),
    'profile': ('profile', 'real'),
    'intents': ('intents', 'real'),
    'full': ('full', 'real'),
    'features': ('none', 'real'),
    'nodes': ('none', 'real'),
    'shuffled': ('profile', 'shuffled'),
    'shuffledfull': ('full', 'shuffled'),
    'shuffledfeatures': ('none', 'shuffled'),
    'shufflednodes': ('none', 'shuffled'),
}
"""The alignment and the kind of texts, by word. With features, texts are propagated;
with nodes, intents are nodes of the graph."""

K = 20
GROUPS = 4


@dataclass(frozen=True)
class Arm:
    name: str
    model: str
    loss: str = ''
    text: str = 'none'
    width: int = 64
    num_intents: Optional[int] = None
    blend: bool = False
    recipe: bool = False

    @property
    def closed(self) -> bool:
        return self.model in CLOSED

    @property
    def has_nodes(self) -> bool:
        return self.text.endswith('nodes')

    @property
    def has_features(self) -> bool:
        return self.text.endswith('features')

    @property
    def alignment(self) -> str:
        return 'auto' if self.model == 'auto' else TEXTS[self.text][0]

    @property
    def reads(self) -> Optional[str]:
        """The kind of texts that the data needs."""
        return TEXTS[self.text][1]


def companion_of(arm: Arm) -> Arm:
    """The companion in a blend: EASE on the same texts."""
    text = 'shuffled' if arm.reads == 'shuffled' else 'profile'
    return parse_arm('ease' if arm.text == 'none' else f'ease-{text}')


def parse_arm(name: str) -> Arm:
    model, *words = name.split('-')
    arm: dict[str, Any] = {}
    if model == 'auto':
        arm = {'text': 'profile', 'blend': True}
    for word in words:
        if word in TEXTS:
            arm['text'] = word
        elif word in LOSSES and model in BACKBONES:
            arm['loss'] = word
        elif word in ('blend', 'recipe') and model in BACKBONES:
            arm[word] = True
        elif word[:1] in 'dk' and word[1:].isdecimal() and model in BACKBONES:
            arm['width' if word[0] == 'd' else 'num_intents'] = int(word[1:])
        else:
            raise ValueError(f'the arm {name!r} has an unknown word, {word!r}')
    if model not in (*CLOSED, *BACKBONES, 'auto'):
        raise ValueError(f'the arm {name!r} has an unknown model, {model!r}')
    if model in BACKBONES and 'loss' not in arm:
        raise ValueError(f'the arm {name!r} needs a loss: {" or ".join(LOSSES)}')
    return Arm(name, model, **arm)


# Search spaces.


EASE_SPACE: Space = {'model.l2_weight': (5.0, 3000.0, 'log')}
EASE_TEXT_SPACE: Space = {
    'model.text_weight': (1.0, 3000.0, 'log'),
    'model.text_l2_weight': (0.1, 100.0, 'log'),
}
KNN_SPACE: Space = {
    'model.exponent': (0.0, 0.7),
    'model.num_neighbors': (10, 500, 'log'),
}
LOSS_SPACES: dict[str, Space] = {
    'bpr': {},
    'softmax': SOFTMAX_SPACE,
    'directau': {'ranking.uniformity_weight': (0.1, 10.0, 'log')},
}
NODES_SPACE: Space = {
    'nodes.num_intents': [16, 64, 256],
    'nodes.weight': (0.1, 3.0, 'log'),
}


def space_of(arm: Arm) -> dict[str, BaseDistribution]:
    return to_distributions(_space_of(arm))


def _space_of(arm: Arm) -> Space:
    if arm.model in ('popularity', 'auto') or arm.recipe:
        return {}
    if arm.model == 'itemknn':
        return KNN_SPACE
    if arm.model == 'ease':
        return EASE_SPACE if arm.text == 'none' else EASE_SPACE | EASE_TEXT_SPACE
    space = GRAPH_SPACE | LOSS_SPACES[arm.loss]
    if arm.has_nodes:
        space |= NODES_SPACE
    if 'contrast_weight' in get_preset(arm.model, 'own', 'none')['backbone']:
        space |= CONTRAST_SPACE
    if arm.alignment != 'none':
        space |= PROFILE_SPACE
    if arm.alignment in ('intents', 'full'):
        space |= INTENT_SPACE
    if arm.alignment == 'full':
        space |= FULL_SPACE
    return space


DEFAULTS: Params = {
    'model.exponent': 0.3,
    'model.num_neighbors': 200,
    'model.l2_weight': 200.0,
    'model.text_weight': 200.0,
    'model.text_l2_weight': 10.0,
    'nodes.num_intents': 64,
    'nodes.weight': 1.0,
    'ranking.temperature': 0.1,
    'ranking.uniformity_weight': 1.0,
}
"""The first values to try of arguments that no preset has."""


def defaults_of(arm: Arm) -> Params:
    """The hyper-parameters of the first trial."""
    space = space_of(arm)
    values = dict(DEFAULTS)
    if arm.model in BACKBONES:
        for part, arguments in get_preset(arm.model, 'own', arm.alignment).items():
            values |= {f'{part}.{name}': value for name, value in arguments.items()}
    return {name: value for name, value in values.items() if name in space}


# Training.


class Trained(NamedTuple):
    model: Ranker
    interactions: InteractionDataModule
    best_epoch: Optional[int]
    seconds: float


def train(
    arm: Arm,
    name: str,
    data: HeteroData,
    params: Params,
    seed: int,
    epochs: int,
    device: str,
) -> Trained:
    """Train an arm on a dataset. Validation interactions are used only to choose the
    epoch and the weights of a blend."""
    start = time.perf_counter()
    if arm.closed:
        interactions = InteractionDataModule(data, seed=seed)
        model = closed_form(arm, data, part_of(params, 'model'))
        model.score(torch.tensor([0]))  # The first score solves it.
        return Trained(model, interactions, None, time.perf_counter() - start)
    torch.manual_seed(seed)
    if arm.model == 'auto':
        preset = choose_preset(data)
        for options in preset['companions'].values():
            options |= part_of(params, 'companion')
        model = build_model(data, preset=preset)
    else:
        preset = recipe_of(arm, name) if arm.recipe else preset_of(arm, params)
        model = graph_model(arm, data, params, preset)
    interactions = InteractionDataModule(data, seed=seed, **preset['data'])
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model,
            interactions,
            folder,
            epochs=epochs,
            ks=(K,),
            seed=seed,
            device=device,
            progress=False,
            **preset['fit'],
        )
    seconds = time.perf_counter() - start
    return Trained(model, interactions, result.best_epoch, seconds)


def closed_form(arm: Arm, data: HeteroData, options: dict[str, Any]) -> Ranker:
    sizes = data['user'].num_nodes, data['item'].num_nodes
    if arm.text != 'none':
        options = {'item_text': data['item'].profile, **options}
    return CLOSED[arm.model](*sizes, data[RATES].edge_index, **options)


def part_of(params: Params, part: str) -> dict[str, Any]:
    names = (name.split('.') for name in params)
    return {name: params[f'{of}.{name}'] for of, name in names if of == part}


def graph_model(
    arm: Arm, data: HeteroData, params: Params, preset: Preset
) -> Recommender:
    sizes = data['user'].num_nodes, data['item'].num_nodes
    texts = {
        kind: torch.cat([data[side][kind] for side in SIDES])
        for kind in ALIGNMENT_TEXTS[arm.alignment]
    }
    nodes = part_of(params, 'nodes') if arm.has_nodes else None
    loss = LOSSES[arm.loss]
    companions = []
    if arm.blend:
        companion = companion_of(arm)
        companions = [closed_form(companion, data, part_of(params, 'companion'))]
    return IRLLRec(
        build_backbone(arm, data, nodes, preset['backbone']),
        bipartite_edge_index(data[RATES].edge_index, *sizes),
        alignment=IntentAlignmentLoss(**preset['loss']),
        ranking=None if loss is None else loss(**part_of(params, 'ranking')),
        companions=companions,
        features=features_of(data) if arm.has_features else None,
        normalize=arm.loss == 'softmax',
        **texts,
        **preset['model'],
    )


def features_of(data: HeteroData) -> Tensor:
    dim = min(128, *data['item'].profile.shape)
    data = ReduceText(dim, whiten=True)(data)
    return unit_norm(torch.cat([data[side].profile for side in SIDES]))


def build_backbone(
    arm: Arm,
    data: HeteroData,
    nodes: Optional[dict[str, Any]],
    arguments: dict[str, Any],
) -> Backbone:
    num_users, num_items = data['user'].num_nodes, data['item'].num_nodes
    if nodes is None:
        return BACKBONES[arm.model](num_users, num_items, **arguments)
    count = min(nodes['num_intents'], num_items // 4)
    data = IntentNodes(count)(data)
    wants, serves = (data[side, 'has', 'intent'] for side in SIDES)
    return IntentNodeBackbone(
        BACKBONES[arm.model](num_users, num_items + count, **arguments),
        num_items,
        *(wants.edge_index, serves.edge_index),
        *(wants.edge_weight, serves.edge_weight),
        weight=nodes['weight'],
    )


def recipe_of(arm: Arm, name: str) -> Preset:
    name = name if name in AUTHORS_DATASETS else 'own'
    return get_preset(arm.model, name, arm.alignment, 'authors')


def preset_of(arm: Arm, params: Params) -> Preset:
    preset = get_preset(arm.model, 'own', arm.alignment)
    preset['backbone']['embedding_dim'] = arm.width
    if arm.num_intents is not None:
        preset['backbone']['num_intents'] = arm.num_intents
    if arm.loss != 'bpr':
        preset['data']['batch_by'] = 'user'
    for part, arguments in preset.items():
        arguments |= part_of(params, part)
    return preset


# Metrics.


@torch.no_grad()
def measure(model: Ranker, label: UserItems, exclude: UserItems) -> Metrics:
    """The metrics over all users with labels, and Recall and NDCG of each quarter of
    them, ordered by their number of training interactions."""
    users = label.degree.nonzero().flatten()
    k = min(K, label.num_items)
    top = model.recommend(users, k, exclude=exclude).item
    popularity = torch.bincount(exclude.item, minlength=label.num_items).float()
    every = {
        'recall': LinkPredRecall(k),
        'ndcg': LinkPredNDCG(k),
        'precision': LinkPredPrecision(k),
        'mrr': LinkPredMRR(k),
        'coverage': LinkPredCoverage(k, label.num_items),
        'popularity': LinkPredAveragePopularity(k, popularity),
    }
    found = _count(every, top, label, users)
    order = exclude.degree[users].argsort(stable=True)
    for number, rows in enumerate(order.tensor_split(GROUPS), start=1):
        some = {'recall': LinkPredRecall(k), 'ndcg': LinkPredNDCG(k)}
        if rows.numel() > 0:
            group = _count(some, top[rows], label, users[rows])
            found |= {f'{name}/{number}': value for name, value in group.items()}
    return found


def _count(metrics: dict[str, Any], top: Any, label: UserItems, users: Any) -> Metrics:
    counted = LinkPredMetricCollection(metrics)
    counted.update(top, torch.stack(label.lookup(users)))
    return {name: float(value) for name, value in counted.compute().items()}
