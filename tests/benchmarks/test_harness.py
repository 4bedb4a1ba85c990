from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import harness
from tests.benchmarks.toy_benchmark import run

ROOT = Path(__file__).parents[2]
SPEED = ('info_nce', 'intent_propagate', 'sampling_eval', 'train_step')
OTHERS = ('approximation', 'data_pipeline', 'extraction', 'parity', 'prototypes')


def test_peers_are_timed_compared_and_written(tmp_path, capsys, monkeypatch):
    out = tmp_path / 'rows' / 'test.json'
    words = ['--json', str(out), '--peers', 'slow', 'fast', 'other', 'broken']
    monkeypatch.setattr('sys.argv', ['benchmarks/toy.py', *words])
    assert run(*words) == 0
    printed, errors = capsys.readouterr()
    report = json.loads(out.read_text())
    assert 'broken: left out, ImportError: no such package' in errors
    rows = {row['impl']: row for row in report['rows']}
    assert list(rows) == ['slow', 'fast', 'other']
    assert set(report) == {'benchmark', 'command', 'environment', 'rows'}
    assert {'case', 'impl', 'seconds', 'peak_mb', 'max_error'} <= rows['slow'].keys()
    assert rows['slow']['seconds'] > rows['fast']['seconds'] > 0
    assert rows['slow']['max_error'] == 0 and 0 < rows['fast']['max_error'] < 1e-6
    assert rows['other']['max_error'] is None
    # 30 million float32 ones.
    assert 110 < rows['slow']['extra_mb'] < 140 and rows['fast']['extra_mb'] < 20
    assert 'gain: ' in printed and '| sum | fast |' in printed
    assert report['command'].startswith('python -m benchmarks.toy --json FILE --peers')
    assert str(tmp_path) not in json.dumps(report)
    assert report['environment']['torch_geometric'].count('.') == 2


def test_peers_that_disagree_fail(tmp_path, capsys):
    out = tmp_path / 'test.json'
    assert run('--json', str(out), '--peers', 'fast', 'wrong', 'nan') == 1
    errors = capsys.readouterr().err
    assert 'error: wrong is off by' in errors and 'error: nan is off by' in errors
    agrees = [row['agrees'] for row in json.loads(out.read_text())['rows']]
    assert agrees == [True, False, False]


@pytest.mark.parametrize('name', SPEED)
def test_the_peers_of_a_benchmark_agree(name):
    """Run the peers in this process, without timing them."""
    module = importlib.import_module(f'benchmarks.{name}')
    parser = harness.parser(module.__doc__)
    parser.add_argument('--root')
    args = parser.parse_args(['--quick'])
    for case in module.cases(args):
        expected = None
        for peer in case.peers:
            if 'compiled' in peer.impl:  # Compiling takes seconds.
                continue
            torch.manual_seed(0)
            try:
                job = module.prepare(case.name, peer.impl, torch.device('cpu'), args)
            except ModuleNotFoundError as error:
                assert error.name == 'torch_sparse'
                continue
            values = {name: x.detach() for name, x in job.step().items()}
            expected = values if expected is None else expected
            if peer.tolerance is not None:
                error = harness.max_relative_error(values, expected)
                assert error <= peer.tolerance, (case.name, peer.impl)


def test_run_all_calls_every_benchmark_of_speed(tmp_path):
    module = importlib.import_module('benchmarks.run_all')
    assert set(SPEED) < set(module.BENCHMARKS)
    for name in (*module.BENCHMARKS, *OTHERS, 'quality'):
        script = importlib.import_module(f'benchmarks.{name}')
        assert f'python -m benchmarks.{name}' in script.__doc__


def test_a_benchmark_is_a_command():
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.run_all', '--help'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': ''},
    )
    assert done.returncode == 0 and '--quick' in done.stdout
