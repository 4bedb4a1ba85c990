"""`pyg-irllrec train --devices 2`, which starts a second process itself, or is started
twice by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_irllrec.serving import load
from tests.cli.calls import call
from tests.cli.tables import write_books

TORCHRUN = ('-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2')
TRAIN = ('-m', 'pyg_irllrec', 'train', 'data', '--device', 'cpu', '--json')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_books(tmp_path)
    tables = ('--interactions', 'ratings.csv', '--items', 'books.csv')
    assert call('prepare', *tables, '--out', 'data', '--quiet') == 0
    return tmp_path


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_command_on_two_devices_trains_as_on_one(folder, capsys):
    options = '--epochs', '2', '--out'
    running = {
        'own': start(*TRAIN, *options, 'own', '--devices', '2'),
        'torchrun': start(*TORCHRUN, *TRAIN, *options, 'torchrun', '--devices', '2'),
    }
    capsys.readouterr()
    assert call(*TRAIN[2:], *options, 'alone') == 0
    alone = json.loads(capsys.readouterr().out)
    blend = load('alone/bundle').model.blend_weight
    for name, process in running.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found = json.loads(out)  # One process prints, and saves.
        assert found['bundle'] == f'{name}/bundle'
        assert found['test'] == pytest.approx(alone['test'], abs=1e-4)
        assert load(found['bundle']).model.blend_weight.allclose(blend, atol=1e-4)


def test_torchrun_moves_a_run_aside_and_resumes_with_another_number(folder, capsys):
    """The first process opens the folder; the second one waits."""
    assert call(*TRAIN[2:], '--epochs', 1, '--out', 'run') == 0
    words = (*TRAIN, '--out', 'run', '--devices', '2')
    process = start(*TORCHRUN, *words, '--epochs', '1')
    assert process.wait(timeout=300) == 0, process.stderr.read()
    assert load('run.1/bundle').metrics
    assert call(*TRAIN[2:], '--epochs', 2, '--out', 'run', '--resume') == 0
    # What is refused is one error, and the others end with it.
    process = start(*TORCHRUN, *words, '--epochs', '2', '--resume', '--seed', '1')
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    assert err.count('error: ') == 1 and 'was begun with seed=0' in err
