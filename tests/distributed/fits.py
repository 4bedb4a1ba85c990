"""Run of several processes, started as torchrun starts them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch import Trainer
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.assemble import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import Recommender
from pyg_irllrec.training import (
    FitResult,
    InteractionDataModule,
    LitRecommender,
    TripletLoader,
    fit,
)

OPTIONS: dict[str, Any] = {'check_every': 1, 'patience': 9, 'device': 'cpu'}


def make(alignment: str = 'full', seed: int = 0) -> tuple[Recommender, Any]:
    data = SyntheticIntents(40, 30, num_intents=3)[0]
    torch.manual_seed(seed)
    model = build_model(data, alignment=alignment)
    batch_by = 'user' if alignment == 'auto' else 'interaction'
    return model, InteractionDataModule(data, batch_size=100, batch_by=batch_by)


def train(
    alignment: str, out: Path, devices: int, seed: int = 0, **options: Any
) -> FitResult:
    model, data = make(alignment, seed)
    options = OPTIONS | {'progress': False} | options
    return fit(model, data, out, devices=devices, **options)


def torchrun(mesh: DeviceMesh) -> dict[str, str]:
    """The environment of a process that torchrun has started."""
    rank, size = str(mesh.get_rank()), str(mesh.size())
    return {
        **{'RANK': rank, 'LOCAL_RANK': rank, 'GROUP_RANK': '0'},
        **{'WORLD_SIZE': size, 'LOCAL_WORLD_SIZE': size, 'TORCHELASTIC_RUN_ID': '1'},
        **{'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '1'},
    }


def train_among(
    mesh: DeviceMesh, alignment: str, out: Path, options: dict[str, Any]
) -> FitResult:
    """What fit() returns in a rank. Those of other seeds get the first one's
    weights."""
    with patch.dict(os.environ, torchrun(mesh)):
        return train(alignment, out, mesh.size(), mesh.get_rank(), **options)


def train_on_other_data(mesh: DeviceMesh, out: Path) -> str:
    """The error of a rank where each has a batch size of its own."""
    model, data = make()
    data._train.batch_size += mesh.get_rank()
    try:
        with patch.dict(os.environ, torchrun(mesh)):
            fit(model, data, out, devices=mesh.size(), epochs=1, progress=False)
    except ValueError as error:
        return str(error)
    return ''


def train_on_other_batches(mesh: DeviceMesh) -> str:
    """That of a rank where each draws batches of its own."""
    model, data = make()
    loader = TripletLoader(data.train_items, 100, seed=mesh.get_rank())
    options = {'logger': False, 'enable_checkpointing': False, 'max_steps': 1}
    quiet = {'enable_progress_bar': False, 'enable_model_summary': False}
    try:
        with patch.dict(os.environ, torchrun(mesh)):
            Trainer(
                accelerator='cpu',
                devices=mesh.size(),
                strategy='ddp',
                **(options | quiet),
            ).fit(LitRecommender(model), loader)
    except ValueError as error:
        return str(error)
    return ''
