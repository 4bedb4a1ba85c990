from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pyg_irllrec.text.intents.intent_file import load_intents, save_intents
from tests.examples.test_own_data import COLUMNS, RATED, TEXTS, call, folder

pytest.importorskip('pyarrow')
pytest.importorskip('matplotlib')
pytest.importorskip('pydantic')

EXAMPLES = Path(__file__).parents[2] / 'examples'
FILES = ('--interactions', 'ratings.csv', *COLUMNS, *RATED, *TEXTS)

__all__ = ['folder']  # A fixture.

Explain = Callable[..., tuple[int, str, str]]


def example(where: Path, name: str, *args: str) -> None:
    command = [sys.executable, str(EXAMPLES / f'{name}.py'), '--quiet', *args]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def explain(tmp_path, monkeypatch, capsys) -> Explain:
    """The command, in this process: its code, what it prints, and its errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(warnings, 'formatwarning', warnings.formatwarning)
    from explain import main

    def run(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        return (code, *capsys.readouterr())

    return run


def test_from_files_to_reasons(folder, explain, monkeypatch):
    extracted = ('--llm', 'extractive', '--out', 'intents.jsonl')
    example(folder, 'extract_intents', *FILES, *extracted)
    intents = ('--intents', 'intents.jsonl')
    done = call(folder, *COLUMNS, *RATED, *TEXTS, *intents, '--recommend-for', 'u3')
    assert done.returncode == 0, done.stderr

    code, out, err = explain('--run', 'out', '--user', 'u3', '--k', '10')
    assert code == 0, err
    assert (folder / 'out' / 'intent_map.png').read_bytes().startswith(b'\x89PNG')
    assert 'Latent intents of users' in out
    # The same items as were recommended, and the intents of the file.
    best = [line.split()[1] for line in done.stdout.splitlines() if 'Item ' in line]
    assert len(best) == 10
    for rank, item in enumerate(best, start=1):
        assert f'\n  {rank}. {item}: Item ' in out
    records = load_intents(folder / 'intents.jsonl').records
    (user,) = (r for r in records if r.side == 'user' and r.id == 'u3')
    assert f'intents in words: {user.intents[0].name}' in out
    assert ' leans to ' in out and ' like ' in out

    asked = ('--user', 'u3', 'u1', '--item', '107', '107', '105', '--out', 'map.png')
    figures = []
    monkeypatch.setattr('matplotlib.pyplot.close', figures.append)
    code, out, err = explain('--run', 'out', *asked)
    assert code == 0, err
    # Each is marked once.
    named = [[text.get_text() for text in axes.texts] for axes in figures[0].axes]
    assert named == [['u3', 'u1'], ['107', '105']]
    assert out.count('\nUser u') == 2 and out.count('(score ') == 4
    assert (folder / 'map.png').is_file()

    # The same path, but not what the model was trained with.
    records, manifest = load_intents(folder / 'intents.jsonl')
    records[0] = replace(records[0], intents=records[1].intents)
    save_intents(folder / 'intents.jsonl', records, manifest)
    code, _, err = explain('--run', 'out')
    assert code == 2 and 'must be as it was when' in err
    resumed = call(folder, *COLUMNS, *RATED, *TEXTS, *intents, '--resume')
    assert resumed.returncode == 2 and '--intents-sha256' in resumed.stderr

    # Intents that were drawn from what this split holds out are refused.
    other = call(folder, *COLUMNS, *RATED[:4], *TEXTS, *intents)
    assert other.returncode == 2 and 'Extract intents from this split' in other.stderr


def test_few_points_in_the_plane(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from plane import in_plane

    for number in (1, 2, 3, 4, 5):
        one, rest = in_plane(torch.randn(1, 8), torch.randn(number - 1, 8))
        assert one.shape == (1, 2) and rest.shape == (number - 1, 2)


def test_a_run_on_the_embedded_dataset(tmp_path, explain):
    options = ('--epochs', '2', '--device', 'cpu', '--out', 'run')
    example(tmp_path, 'irllrec', '--alignment', 'intents', *options)
    code, out, err = explain('--run', 'run', '--k', '1')
    assert code == 0, err
    assert '\nUser 0\n' in out and 'intents in words: This person' in out
    wrong = [
        (('--run', 'nowhere'), 'must be a folder of own_data.py or irllrec.py'),
        (('--run', 'run', '--user', 'x'), "'--user' must name a node of the run"),
        (('--run', 'run', '--item', '-3'), "'--item' must name a node of the run"),
        (('--run', 'run', '--k', '100000'), "'--k' must be at most"),
    ]
    for args, message in wrong:
        code, out, err = explain(*args)
        assert (code, out) == (2, '') and message in err, args
