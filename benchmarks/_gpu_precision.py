r"""The section of :mod:`benchmarks.gpu` that compares Recall@20 of short runs in lower
precisions, by :mod:`benchmarks.precision`."""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Iterator
from functools import cache, partial

from torch_geometric.data import HeteroData

from benchmarks import precision
from benchmarks._gpu_measure import Row
from benchmarks._gpu_setting import Setting
from benchmarks._gpu_store import Entry
from pyg_irllrec.datasets import SyntheticIntents

SECTION = 'precision'
SEEDS = (0, 1)


def entries(setting: Setting) -> Iterator[Entry]:
    for arm in precision.ARMS:
        run = partial(_train, setting, arm)
        yield Entry(SECTION, 'SyntheticIntents, full', arm, run)


@cache
def _data(dry: bool) -> HeteroData:
    sizes = {'num_users': 60, 'num_items': 40} if dry else {}
    return SyntheticIntents(**sizes)[0]


def _train(setting: Setting, arm: str) -> Row:
    args = Namespace(epochs=setting.pick(40, 1), lr=5e-3, device=setting.device.type)
    rows = [
        precision.run(arm, _data(setting.dry), seed, args)
        for seed in SEEDS[: setting.pick(len(SEEDS), 1)]
    ]
    return {
        'recall@20': statistics.fmean(row['recall@20'] for row in rows),
        'recalls': [row['recall@20'] for row in rows],
    }
