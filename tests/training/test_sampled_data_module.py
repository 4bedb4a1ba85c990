from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import Recommender
from pyg_irllrec.training import (
    FitResult,
    InteractionDataModule,
    SampledDataModule,
    fit,
)

DATA = SyntheticIntents(30, 24, num_intents=2)[0]


def make_model(data: HeteroData = DATA) -> Recommender:
    torch.manual_seed(0)
    return build_model(data)


def make_batches(num_neighbors: tuple[int, ...] = (3, 2)) -> SampledDataModule:
    return SampledDataModule(
        DATA, num_neighbors=num_neighbors, num_samples=9, batch_size=64, seed=1
    )


def train(
    model: Recommender, data: InteractionDataModule, out: Path, epochs: int = 2
) -> FitResult:
    options = {'check_every': 1, 'progress': False, 'resume': out.exists()}
    return fit(model, data, out, epochs=epochs, **options)


def test_a_resumed_run_draws_the_same_batches(tmp_path: Path) -> None:
    whole, parts = make_model(), make_model()
    result = train(whole, make_batches(), tmp_path / 'whole')
    train(parts, make_batches(), tmp_path / 'parts', epochs=1)
    resumed = train(make_model(), make_batches(), tmp_path / 'parts')
    assert resumed.history == result.history
    assert resumed.test == result.test
    with pytest.raises(ValueError, match=r'num_neighbors \[3, 2\], not \[3, 3\]'):
        train(make_model(), make_batches((3, 3)), tmp_path / 'parts', epochs=3)
    with pytest.raises(ValueError, match='num_neighbors'):
        data = InteractionDataModule(DATA, batch_size=64, seed=1)
        train(make_model(), data, tmp_path / 'parts', epochs=3)


def test_with_all_neighbors_a_run_equals_one_on_the_full_graph(tmp_path: Path) -> None:
    sampled = SampledDataModule(DATA, num_neighbors=[-1, -1], batch_size=64, seed=1)
    full = InteractionDataModule(DATA, batch_size=64, seed=1)
    one, other = (
        train(make_model(), data, tmp_path / str(number))
        for number, data in enumerate((sampled, full))
    )
    for row, expected in zip(one.history, other.history):
        assert row == pytest.approx(expected, rel=1e-4)


def test_wrong_arguments(tmp_path: Path) -> None:
    model = build_model(DATA, backbone='simgcl')
    with pytest.raises(ValueError, match='its backbone, SimGCL, is not a plain'):
        train(model, make_batches(), tmp_path / 'run')
    with pytest.raises(ValueError, match="'devices' must be 1 with a Sampled"):
        fit(make_model(), make_batches(), tmp_path / 'run', device='cpu', devices=2)
    assert not (tmp_path / 'run').exists()
    with pytest.raises(ValueError, match="'num_neighbors' must be a sequence"):
        SampledDataModule(DATA, num_neighbors=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'num_samples' must be"):
        SampledDataModule(DATA, num_neighbors=[5, 5], num_samples=0)
