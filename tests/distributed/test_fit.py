from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import torch
from lightning.pytorch.strategies.launchers.subprocess_script import (
    _SubprocessScriptLauncher,
)

from tests.distributed.fits import (
    train,
    train_among,
    train_on_other_batches,
    train_on_other_data,
)


def check_alike(result, expected):
    """The same run, up to the order of sums."""
    assert result.best_epoch == expected.best_epoch
    assert result.fingerprint == expected.fingerprint
    assert result.test == pytest.approx(expected.test, abs=1e-4)
    assert len(result.history) == len(expected.history)
    for row, other in zip(result.history, expected.history):
        assert row == pytest.approx(other, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize('alignment', ['full', 'auto'])
def test_several_processes_train_as_one(tmp_path, ranks, alignment):
    alone = train(alignment, tmp_path / 'alone', 1, epochs=2)
    out = tmp_path / 'among'
    for result in ranks(2, train_among, alignment, out, {'epochs': 2}):
        check_alike(result, alone)
    weights = [
        torch.load(each / 'best.ckpt', weights_only=True)['state_dict']
        for each in (out, tmp_path / 'alone')
    ]
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-4)


def test_a_run_goes_on_with_another_number_of_processes(tmp_path, ranks):
    alone = train('full', tmp_path / 'alone', 1, epochs=3)
    out = tmp_path / 'among'
    ranks(2, train_among, 'full', out, {'epochs': 1})
    options = {'epochs': 2, 'resume': True}
    ranks(3, train_among, 'full', out, options)
    check_alike(train('full', out, 1, epochs=3, resume=True), alone)


def test_processes_that_differ_are_one_error_in_each(tmp_path, ranks):
    for error in ranks(2, train_on_other_data, tmp_path / 'run'):
        assert "'model' and 'data' must be the same in all processes" in error
    for error in ranks(2, train_on_other_batches):
        assert 'all processes must draw the same batches' in error


def test_a_taken_port_is_an_error_that_ends_the_started_process(tmp_path, monkeypatch):
    started = []

    def start(launcher):
        wait = [sys.executable, '-c', 'import time; time.sleep(300)']
        launcher.procs = [subprocess.Popen(wait)]
        started.extend(launcher.procs)

    monkeypatch.setattr(_SubprocessScriptLauncher, '_call_children_scripts', start)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')  # Otherwise, Lightning sets it.
    with socket.create_server(('127.0.0.1', 0)) as taken:
        monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
        monkeypatch.setenv('MASTER_PORT', str(taken.getsockname()[1]))
        with pytest.raises(OSError, match='the processes could not connect'):
            train('auto', tmp_path / 'run', 2, epochs=1)
    assert started[0].poll() is not None
