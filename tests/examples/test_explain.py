from __future__ import annotations

import pytest

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
