from __future__ import annotations

from types import SimpleNamespace

import pytest

from pyg_irllrec.training import EpochProgressBar


def trainer(**options):
    defaults = {'max_epochs': 3, 'global_step': 0, 'current_epoch': 0}
    return SimpleNamespace(**(defaults | options), progress_bar_metrics={})


def attached(monkeypatch, **options):
    bar, run = EpochProgressBar(refresh_seconds=0.0), trainer(**options)
    monkeypatch.setattr(EpochProgressBar, 'total_train_batches', 2)
    bar.on_train_start(run, None)
    return bar, run


def test_a_single_bar_shows_all_epochs_and_the_loss(capsys, monkeypatch):
    bar, run = attached(monkeypatch)
    run.current_epoch, run.progress_bar_metrics = 1, {'loss': 0.25}
    for _ in range(3):
        bar.on_train_batch_end(run, None, None, None, 0)
    bar.on_train_end(run, None)
    shown = capsys.readouterr().err
    assert 'training' in shown and '3/6' in shown
    assert 'epoch=2' in shown and 'loss=0.2500' in shown


@pytest.mark.parametrize(
    ('batches', 'max_epochs'), [(float('inf'), 3), (2, -1), (float('inf'), -1)]
)
def test_a_run_without_an_end(capsys, monkeypatch, batches, max_epochs):
    monkeypatch.setattr(EpochProgressBar, 'total_train_batches', batches)
    bar, run = EpochProgressBar(refresh_seconds=0.0), trainer(max_epochs=max_epochs)
    bar.on_train_start(run, None)
    bar.on_train_batch_end(run, None, None, None, 0)
    bar.on_train_end(run, None)
    assert 'training: 1step' in capsys.readouterr().err


def test_a_resumed_run_begins_where_it_was(capsys, monkeypatch):
    bar, run = attached(monkeypatch, global_step=4)
    bar.on_exception(run, None, RuntimeError())
    assert '4/6' in capsys.readouterr().err
    bar.on_train_batch_end(
        run, None, None, None, 0
    )  # The bar is closed and shows nothing.
    assert capsys.readouterr().err == ''
