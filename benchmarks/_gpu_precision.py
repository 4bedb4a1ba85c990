r"""What lower precisions cost in :mod:`benchmarks.gpu`: Recall@20 of short runs."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from functools import cache, partial

import torch
from torch_geometric.data import HeteroData

from benchmarks._gpu_measure import Row
from benchmarks._gpu_setting import Setting
from benchmarks._gpu_store import Entry
from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule, fit

SECTION = 'precision'
PRECISIONS = ('32-true', 'tf32', 'bf16-mixed')
SEEDS = (0, 1)


def entries(setting: Setting) -> Iterator[Entry]:
    for precision in PRECISIONS:
        run = partial(_train, setting, precision)
        yield Entry(SECTION, 'SyntheticIntents, full', precision, run)


@cache
def _data(dry: bool) -> HeteroData:
    sizes = {'num_users': 60, 'num_items': 40} if dry else {}
    return SyntheticIntents(**sizes)[0]


def _train(setting: Setting, precision: str) -> Row:
    data = _data(setting.dry)
    recalls, seconds = [], []
    for seed in SEEDS[: setting.pick(len(SEEDS), 1)]:
        torch.manual_seed(seed)
        model = build_model(data, alignment='full')
        with tempfile.TemporaryDirectory() as folder:
            result = fit(
                model,
                InteractionDataModule(data, seed=seed),
                f'{folder}/run',
                epochs=setting.pick(60, 1),
                check_every=setting.pick(10, 1),
                seed=seed,
                device=setting.device,
                precision=precision,
                progress=False,
            )
        recalls.append(result.test['recall@20'])
        seconds.append(result.seconds_per_step)
    return {
        'seconds': statistics.median(seconds),
        'recall@20': statistics.fmean(recalls),
        'recalls': recalls,
    }
