from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
SCRIPT = """
import sys
import torch
sys.path.insert(0, {folder!r})
import harness
from harness import Case, Job, Peer

FACTOR = {{'slow': 1.0, 'fast': 1.0 + 1e-7, 'wrong': 1.001, 'nan': float('nan')}}

def prepare(case, impl, device, args):
    if impl == 'broken':
        raise ImportError('no such package')
    size = 30_000_000 if impl == 'slow' else 10
    def step():
        total = torch.ones(size).sum() / size
        return {{'total': total * FACTOR.get(impl, 1.0)}}
    return Job(step)

if __name__ == '__main__':
    parser = harness.parser('A test.')
    parser.add_argument('--peers', nargs='+')
    parser.add_argument('--root')
    args = parser.parse_args()
    peers = [Peer(name, None if name == 'other' else 1e-5) for name in args.peers]
    def targets(rows):
        gain = harness.ratio(rows, 'sum', 'slow', 'fast')
        return [harness.target('gain', gain, 2)]
    cases = [Case('sum', peers, repeats=3)]
    sys.exit(harness.main('test', prepare, cases, args, targets))
"""


def run(folder: Path, *peers: str) -> tuple[subprocess.CompletedProcess[str], dict]:
    script = folder / 'script.py'
    script.write_text(SCRIPT.format(folder=str(BENCHMARKS)))
    out = folder / 'rows' / 'test.json'
    options = ['--json', str(out), '--root', str(folder)]
    done = subprocess.run(
        [sys.executable, str(script), *options, '--peers', *peers],
        capture_output=True,
        text=True,
    )
    return done, json.loads(out.read_text())


def test_peers_are_timed_compared_and_written(tmp_path):
    done, report = run(tmp_path, 'slow', 'fast', 'other', 'broken')
    assert done.returncode == 0, done.stderr
    assert 'broken: left out, ImportError: no such package' in done.stderr
    rows = {row['impl']: row for row in report['rows']}
    assert list(rows) == ['slow', 'fast', 'other']
    assert set(report) == {'benchmark', 'command', 'environment', 'rows'}
    assert {'case', 'impl', 'seconds', 'peak_mb', 'max_error'} <= rows['slow'].keys()
    assert rows['slow']['seconds'] > rows['fast']['seconds'] > 0
    assert rows['slow']['max_error'] == 0 and 0 < rows['fast']['max_error'] < 1e-6
    assert rows['other']['max_error'] is None
    # 30 million float32 ones.
    assert 110 < rows['slow']['extra_mb'] < 140 and rows['fast']['extra_mb'] < 20
    assert 'gain: ' in done.stdout and '| sum | fast |' in done.stdout
    assert str(tmp_path) not in json.dumps(report)


@pytest.mark.parametrize('peer', ['wrong', 'nan'])
def test_a_peer_that_disagrees_fails(tmp_path, peer):
    done, report = run(tmp_path, 'fast', peer)
    assert done.returncode == 1
    assert f'error: {peer} is off by' in done.stderr
    assert report['rows'][1]['agrees'] is False


@pytest.mark.parametrize('name', ['intent_propagate', 'sampling_eval'])
def test_a_benchmark_runs(tmp_path, name):
    out = tmp_path / 'out.json'
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f'{name}.py'), '--quick', '--json', str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(out.read_text())['rows']) >= 5
