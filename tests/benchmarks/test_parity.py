from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.parity import main
from tests.conftest import GOLDENS
from tests.examples.run_example import Done

BACKBONES = ('lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf')


@pytest.fixture
def parity(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run the command in this process."""

    def call(folder: Path | None, *args: str) -> Done:
        goldens = [] if folder is None else ['--goldens', str(folder)]
        code, message = 0, ''
        try:
            code = main([*goldens, *args])
        except SystemExit as error:
            code, message = 1, str(error)
        return Done(code, capsys.readouterr().out, message)

    return call


def change(path: Path, name: str, value: object) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    arrays[name] = value(arrays[name]) if callable(value) else value
    np.savez(path, **arrays)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(GOLDENS / 'lightgcn_int.npz', tmp_path)
    return tmp_path / 'lightgcn_int.npz'


def test_the_authors_numbers_come_out(tmp_path, parity):
    done = parity(GOLDENS, '--json', str(tmp_path / 'errors.json'))
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'parity holds' in done.stdout
    report = json.loads((tmp_path / 'errors.json').read_text())
    assert report['command'].startswith('python -m benchmarks.')
    errors = {row['model']: row['errors'] for row in report['rows']}
    variants = ('', '_plus', '_int')
    every = {name + variant for name in BACKBONES for variant in variants}
    assert set(errors) == every | {'lightgcn_gene'}
    names = errors['lightgcn_int']
    assert {
        'total',
        'term kd_int_loss',
        'grad user_intent',
        'after int_mlp_m.0.bias',
    } <= set(names)
    assert max(max(values.values()) for values in errors.values()) < 1e-5
    for row in report['rows']:
        assert row['total'] == row['errors']['total']
        assert row['gradients'] >= max(
            error for name, error in row['errors'].items() if name[:5] == 'grad '
        )


def test_reconstruction_equals_the_authors_lightgcn_gene(tmp_path, parity):
    shutil.copy(GOLDENS / 'lightgcn_gene.npz', tmp_path)
    done = parity(tmp_path, '--tolerance', '1e-6')
    assert done.returncode == 0, done.stdout
    assert 'term recon_loss' in done.stdout and 'grad mask_token' in done.stdout
    change(tmp_path / 'lightgcn_gene.npz', 'draw/00_masked', lambda x: (x + 1) % 60)
    assert parity(tmp_path).returncode == 1


def test_other_sizes_by_the_formulas(parity):
    done = parity(None, '--seeds', '1', '--tolerance', '1e-6')
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(': largest relative error') == 20
    assert 'bigcf_full, seed 0' in done.stdout


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('loss', lambda x: x * np.float32(1.0001)),
        ('term/reg_loss', lambda x: x * np.float32(1.0001)),
        ('grad/user_intent', lambda x: x * np.float32(1.0001)),
        ('loss', lambda x: x * np.float32('nan')),
        ('draw/00_randn_like', lambda x: -x),
        ('param/int_mlp_m.0.bias', lambda x: x + 1),
    ],
)
def test_a_changed_number_is_found(copy, name, value, parity):
    change(copy, name, value)
    done = parity(copy.parent)
    assert done.returncode == 1
    assert 'above the tolerance' in done.stdout


def test_files_that_cannot_be_read(copy, parity):
    for content in (b'', copy.read_bytes()[:4000], b'not a zip file'):
        copy.write_bytes(content)
        done = parity(copy.parent)
        assert done.returncode == 1
        assert done.stderr.startswith('error: cannot read the golden')


def test_missing_arrays_and_empty_folders(copy, tmp_path, parity):
    (tmp_path / 'empty').mkdir()
    assert parity(tmp_path / 'empty').returncode == 1
    change(copy, 'batch', np.zeros((2, 3), dtype=np.int64))
    done = parity(copy.parent)
    assert done.returncode == 1 and 'cannot replay the golden' in done.stderr
