from __future__ import annotations

import pytest

from pyg_irllrec.cli import trained_run
from tests.examples.run_example import run_example
from tests.examples.small_data import shrink

pytest.importorskip('matplotlib')


def test_a_run_on_the_embedded_dataset(tmp_path, monkeypatch):
    shrink(monkeypatch)
    options = ('--epochs', 1, '--device', 'cpu', '--quiet', '--out', 'run')
    done = run_example('irllrec', '--alignment', 'intents', *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = ('--run', 'run')
    done = run_example('explain', *run, '--k', 1, '--prototypes', 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '\nUser 0\n' in done.stdout
    assert 'intents in words: This person' in done.stdout
    assert (tmp_path / 'run' / 'intent_map.png').is_file()
    # There is no column to name.
    done = run_example('explain', *run, '--rating', 'stars', cwd=tmp_path)
    assert done.returncode == 2 and 'leave --rating out' in done.stderr


def test_other_data_than_the_run_was_trained_on(tmp_path, monkeypatch):
    shrink(monkeypatch)
    options = ('--epochs', 1, '--device', 'cpu', '--quiet', '--out', 'run')
    done = run_example('irllrec', '--alignment', 'intents', *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = trained_run.load_dataset()
    data['item'].profile_text = data['item'].profile_text[::-1]
    monkeypatch.setattr(trained_run, 'load_dataset', lambda *_: data)
    done = run_example('explain', '--run', 'run', cwd=tmp_path)
    assert done.returncode == 2
    assert "profile_texts that 'model' was trained with" in done.stderr
    data['item'].profile = data['item'].profile.flip(0)
    done = run_example('explain', '--run', 'run', cwd=tmp_path)
    assert done.returncode == 2 and 'check_data' not in done.stderr
    assert 'are others by now: train a new run' in done.stderr
