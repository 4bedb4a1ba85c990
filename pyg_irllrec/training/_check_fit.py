r"""Checks of the arguments of :func:`~pyg_irllrec.training.fit`."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Backbone, Recommender
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.lit_recommender import LitRecommender
from pyg_irllrec.training.run_folder import RunFolder
from pyg_irllrec.utils.argument_checks import as_path
from pyg_irllrec.utils.checks import check_count

_USAGE = 'fit(model, data, out)'


def check_model(model: object) -> None:
    if isinstance(model, Recommender):
        return
    advice = _USAGE
    if isinstance(model, Backbone):
        advice = 'pass Recommender(backbone, edge_index)'
    elif isinstance(model, LitRecommender):
        advice = 'pass its .model'
    raise ValueError(
        f"'model' must be a Recommender, got {type(model).__name__}: {advice}"
    )


def check_data(data: object) -> None:
    if isinstance(data, InteractionDataModule):
        return
    advice = _USAGE
    if isinstance(data, HeteroData):
        advice = 'pass InteractionDataModule(data)'
    elif isinstance(data, (list, tuple)):
        advice = 'pass InteractionDataModule(train, val, test)'
    raise ValueError(
        f"'data' must be an InteractionDataModule, got {type(data).__name__}: {advice}"
    )


def check_folder(out: object) -> Path:
    if not isinstance(out, (str, os.PathLike)):
        raise ValueError(
            f"'out' must be the path of a folder, got {type(out).__name__}: {_USAGE}"
        )
    folder = Path(os.path.realpath(as_path('out', out)))
    for path in (folder, *folder.parents):
        if os.path.exists(path):
            if not path.is_dir():
                raise ValueError(f"'out' must be a folder, but {path} is a file")
            break
    return folder


def check_unused(out: Path) -> None:
    r"""Raise a :class:`ValueError` if a new run would overwrite another."""
    if RunFolder(out).has_results:
        raise ValueError(
            f"'out' must not hold a run, but {out} does: continue it with resume=True, "
            f'pass another folder, or move it aside with RunFolder({str(out)!r})'
            '.open(config)'
        )


def check_devices(devices: int, strategy: object, target: torch.device) -> None:
    r"""Raise a :class:`ValueError` unless the machine has this number of devices and
    the strategy can train on them."""
    check_count('devices', devices)
    by_name = isinstance(strategy, str) and strategy == 'ddp'
    if not by_name and not isinstance(strategy, DDPStrategy):
        raise ValueError(
            "'strategy' must be 'ddp' or a DDPStrategy of lightning.pytorch, got "
            f'{strategy!r}'
        )
    if devices == 1:
        return
    started = os.environ.get('WORLD_SIZE')
    if 'TORCHELASTIC_RUN_ID' in os.environ and started not in (None, str(devices)):
        raise ValueError(
            f"'devices' must be {started}, the number of processes that torchrun "
            f'started, got {devices}'
        )
    if target.index is not None:
        raise ValueError(
            f"'device' must be 'auto', 'cpu' or 'cuda' with {devices} 'devices', got "
            f"'{target}': select GPUs with CUDA_VISIBLE_DEVICES"
        )
    if target.type == 'cuda' and devices > torch.cuda.device_count():
        raise ValueError(
            f"'devices' must be at most {torch.cuda.device_count()}, the number of "
            f'CUDA devices of this machine, got {devices}'
        )


def rank_of_process(devices: int) -> int:
    r"""Return the rank of this process. Several processes are not connected yet, so it
    is read from the environment that their launcher sets."""
    known = (os.environ.get(name) for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'))
    return int(next(filter(None, known), 0)) if devices > 1 else 0
