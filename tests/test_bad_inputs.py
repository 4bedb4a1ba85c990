"""What the public API does with what it cannot take: one clear error of its own. Each
argument of each call below is replaced by each bad value in turn."""

from __future__ import annotations

import itertools
import linecache
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pyg_irllrec import build_model, nn, presets
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.training import (
    EpochProgressBar,
    InteractionDataModule,
    LitRecommender,
    RankingLoader,
    RankingMetrics,
    RunFolder,
    TripletLoader,
    evaluate,
    fingerprint,
    fit,
    fitting_cutoffs,
    load_weights,
    parse_device,
)
from pyg_irllrec.utils import (
    UserItems,
    bipartite_edge_index,
    find_interaction_types,
    map_interactions,
    training_interactions,
)

BAD = (
    *(None, '', 'x', '\ud800', 'a\0', b'\xff', -1, 0, 2.5, 10**30, True, int),
    *(float('nan'), float('inf'), [], {}, [1, 'x'], {'x': object()}, object()),
    *(np.array([1.5]), torch.tensor([float('nan')]), torch.zeros(2, 0)),
    *(torch.zeros(3, 3).long(), torch.tensor([[-1], [0]]), torch.tensor(10**12)),
)
RATES = ('user', 'rates', 'item')
DATA = SyntheticIntents(12, 10, num_intents=2)[0]
PAIRS = DATA[RATES].edge_index
GRAPH = bipartite_edge_index(PAIRS, 12, 10)
TRAIN = UserItems(PAIRS, 12, 10)
TEST = UserItems(DATA[RATES].test_edge_label_index, 12, 10)
TEXT = torch.ones(22, 5)
TYPES = {'edge_type': RATES, 'rev_edge_type': None}


def calls(folder: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Public callables with arguments that are right."""
    torch.manual_seed(0)
    model, module = build_model(DATA), InteractionDataModule(DATA, batch_size=64)
    quick = {'epochs': 1, 'device': 'cpu', 'progress': False}
    fit(model, module, folder / 'run', **quick)
    best, numbers = folder / 'run' / 'best.ckpt', itertools.count()
    explain = IntentExplainer(model, DATA)

    def fit_anew(**options: Any) -> object:
        out = folder / f'new{next(numbers)}'
        return fit(**{'out': out, **options})

    backbone = nn.LightGCN(12, 10, 4, num_intents=2)
    return {
        'fit': (
            fit_anew,
            {
                **{'model': model, 'data': module, 'lr': 1e-3, 'check_every': 1},
                **{'patience': 1, 'ks': (2,), 'seed': 0, 'precision': '32-true'},
                **{'resume': False, **quick},
            },
        ),
        'fit into': (
            fit,
            {'out': folder / 'run', 'model': model, 'data': module, **quick}
            | {'resume': True},
        ),
        'InteractionDataModule': (
            InteractionDataModule,
            {'data': DATA, 'val_data': None, 'test_data': None, 'unsplit': False}
            | {'batch_size': 8, 'eval_batch_size': 8, 'seed': 0, **TYPES},
        ),
        'LitRecommender': (
            LitRecommender,
            {'model': model, 'lr': 1e-3, 'ks': (2,), 'seed': 0},
        ),
        'load_from_checkpoint': (
            LitRecommender.load_from_checkpoint,
            {'checkpoint_path': best, 'model': model},
        ),
        'load_weights': (
            load_weights,
            {'model': model, 'path': best, 'check_data': True},
        ),
        'fingerprint': (fingerprint, {'model': model, 'data': module}),
        'RunFolder': (RunFolder, {'path': folder}),
        'RunFolder.open': (
            RunFolder(folder / 'opened').open,
            {'config': {'a': 1}, 'resume': False},
        ),
        'evaluate': (
            evaluate,
            {'user': torch.randn(12, 4), 'item': torch.randn(10, 4), 'ks': (2,)}
            | {'label': TEST, 'exclude': TRAIN, 'batch_size': 4},
        ),
        'RankingLoader': (
            RankingLoader,
            {'label': TEST, 'exclude': TRAIN, 'batch_size': 4},
        ),
        'RankingMetrics': (RankingMetrics, {'ks': (2,), 'metrics': ('recall',)}),
        'TripletLoader': (
            TripletLoader,
            {'interactions': TRAIN, 'batch_size': 4, 'seed': 0},
        ),
        'fitting_cutoffs': (fitting_cutoffs, {'num_items': 10, 'ks': (5,)}),
        'parse_device': (parse_device, {'device': 'cpu'}),
        'EpochProgressBar': (EpochProgressBar, {'refresh_seconds': 0.5}),
        'IntentExplainer': (
            IntentExplainer,
            {'model': model, 'data': DATA, 'sources': 'profile_text', 'num_words': 2}
            | {'intents': 'intent_text', 'num_nearest': 2, 'exclude': PAIRS, **TYPES},
        ),
        'node': (explain.node, {'side': 'user', 'node': 0, 'num_prototypes': 2}),
        'recommendation': (
            explain.recommendation,
            {'user': 0, 'item': 0, 'num_prototypes': 2},
        ),
        'share': (explain.share, {'side': 'user'}),
        'prototypes': (explain.prototypes, {'side': 'user'}),
        'build_model': (
            build_model,
            {'data': DATA, 'backbone': 'lightgcn', 'alignment': 'full', **TYPES}
            | {'preset': None, 'profile': 'profile', 'intent': 'intent'},
        ),
        'get_preset': (
            presets.get_preset,
            {'backbone': 'sgl', 'dataset': 'own', 'alignment': 'full'}
            | {'variant': 'sound'},
        ),
        'recommend': (
            model.recommend,
            {'users': torch.tensor([0]), 'k': 2, 'exclude': PAIRS, 'batch_size': 4},
        ),
        'scores': (model, {'edge_label_index': PAIRS}),
        'loss': (model.loss, {'triplets': torch.tensor([[0], [1], [2]])}),
        'Recommender': (
            nn.Recommender,
            {'backbone': backbone, 'edge_index': GRAPH, 'edge_weight': None}
            | {'l2_weight': 0.0},
        ),
        'IRLLRec': (
            nn.IRLLRec,
            {'backbone': backbone, 'edge_index': GRAPH, 'profile': TEXT}
            | {'intent': TEXT, 'alignment': None, 'momentum': 0.9, 'l2_weight': 0.0},
        ),
        'RLMRecGen': (
            nn.RLMRecGen,
            {'backbone': backbone, 'edge_index': GRAPH, 'profile': TEXT}
            | {'mask_ratio': 0.1, 'weight': 0.1, 'temperature': 0.2, 'max_rows': 5}
            | {'impl': 'auto', 'l2_weight': 0.0},
        ),
        'UserItems': (
            UserItems,
            {'interactions': PAIRS, 'num_users': 12, 'num_items': 10},
        ),
        'find_interaction_types': (find_interaction_types, {'data': DATA, **TYPES}),
        'training_interactions': (training_interactions, {'data': DATA, **TYPES}),
        'map_interactions': (
            map_interactions,
            {'source': DATA, 'target': DATA, **TYPES},
        ),
    }


@pytest.fixture(scope='module')
def walked(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The calls that end in anything but a result or a clear error."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for name, (call, right) in calls(tmp_path_factory.mktemp('bad')).items():
            call(**right)
            for argument, bad in itertools.product(right, BAD):
                try:
                    call(**right | {argument: bad})
                except Exception as error:
                    if not is_clear(error):
                        found.append(f'{name}({argument}={bad!r}): {error!r}')
    return found


def is_clear(error: Exception) -> bool:
    """Whether this package has raised it, in words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file, last = trace.tb_frame.f_code.co_filename, trace.tb_lineno
    lines = ''.join(linecache.getline(file, k) for k in range(last - 5, last + 1))
    words = (
        isinstance(error, (ValueError, OSError, ImportError)) and len(str(error)) > 9
    )
    bare = isinstance(error, UnicodeError)
    return words and not bare and 'pyg_irllrec' in file and 'raise' in lines


def test_every_bad_input_gets_a_clear_error(walked):
    assert not walked, '\n'.join(walked)


def test_a_bare_error_is_seen():
    for bare in (lambda: [][0], lambda: {}['x'], lambda: None.x, lambda: int('x')):
        with pytest.raises(Exception) as caught:
            bare()
        assert not is_clear(caught.value)
    with pytest.raises(ValueError) as caught:
        parse_device('x')
    assert is_clear(caught.value)
