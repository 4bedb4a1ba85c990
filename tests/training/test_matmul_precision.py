from __future__ import annotations

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.training._matmul_precision import matmul_precision

DATA = SyntheticIntents(20, 16, num_intents=2)[0]


class Observer(Callback):
    """Record the precision of each step."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def on_train_batch_end(self, *args: object) -> None:
        self.seen.add(torch.get_float32_matmul_precision())

    def on_test_start(self, *args: object) -> None:
        self.seen.add(f'test {torch.get_float32_matmul_precision()}')


def run(out, precision, **options):
    return fit(
        build_model(DATA, alignment='none'),
        InteractionDataModule(DATA, batch_size=64),
        out,
        **{'epochs': 1, 'device': 'cpu', 'progress': False, 'precision': precision},
        **options,
    )


@pytest.mark.parametrize(
    ('precision', 'trains', 'tests'),
    [
        ('tf32', 'high', 'test highest'),
        ('32-true', 'highest', 'test highest'),
    ],
)
def test_only_training_steps_use_tensor_float_32(tmp_path, precision, trains, tests):
    observer = Observer()
    run(tmp_path / 'run', precision, callbacks=[observer])
    assert observer.seen == {trains, tests}
    assert torch.get_float32_matmul_precision() == 'highest'


def test_the_precision_is_restored_after_an_error():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('medium')
    try:
        with pytest.raises(RuntimeError, match='stopped'), matmul_precision('tf32'):
            assert torch.get_float32_matmul_precision() == 'high'
            raise RuntimeError('stopped')
        assert torch.get_float32_matmul_precision() == 'medium'
        with matmul_precision('bf16-mixed'):
            assert torch.get_float32_matmul_precision() == 'medium'
    finally:
        torch.set_float32_matmul_precision(before)


def test_two_ways_to_set_the_precision_are_not_mixed(tmp_path, monkeypatch):
    def mixed() -> str:
        raise RuntimeError('you have used mix of the legacy and new APIs')

    monkeypatch.setattr(torch, 'get_float32_matmul_precision', mixed)
    with pytest.raises(ValueError, match=r"'precision' must not be 'tf32' if"):
        run(tmp_path / 'run', 'tf32')
    assert not (tmp_path / 'run').exists()
    run(tmp_path / 'other', '32-true')
