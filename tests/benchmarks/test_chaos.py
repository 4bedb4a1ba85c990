from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks._chaos_disk import Mounts, Plan
from benchmarks._chaos_faults import FAULTS, MOUNTED
from benchmarks._chaos_jobs import Job
from benchmarks._chaos_lab import VERDICTS, Lab
from benchmarks._chaos_trial import start
from tests.benchmarks.careless_jobs import make_job

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != 'linux', reason='needs Linux')


@linux
def test_a_run_of_the_command(tmp_path):
    """Runs in its own process, because it must fork from one without threads."""
    out = tmp_path / 'chaos.json'
    words = ['--quick', '--job', 'training', 'extraction', '--json', out]
    faults = ['killed at random', 'full from each change on', 'two processes']
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.chaos', *words, '--fault', *faults],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '| training | killed at random | 1 |' in done.stdout
    report = json.loads(out.read_text())
    assert report['command'].startswith('python -m benchmarks.chaos --quick')
    rows = report['rows']
    assert len(rows) == 6 and sum(row['kills'] for row in rows) >= 2
    assert all(row['equal'] + row['refused'] == row['trials'] == 1 for row in rows)


def lab_of(job: Job, folder: Path) -> Lab:
    return Lab(job, folder, 4, 0, Mounts())


def verdicts(lab: Lab, fault: str) -> set[str]:
    row = chaos.count(FAULTS[fault](lab))
    assert row['trials'] == sum(row[name] for name in VERDICTS) > 0
    return {name for name in VERDICTS if row[name]}


@linux
def test_a_careful_job_passes(tmp_path):
    lab = lab_of(make_job(), tmp_path)
    for fault, disturb in FAULTS.items():
        if disturb not in MOUNTED:
            assert verdicts(lab, fault) <= {'equal', 'refused'}, fault


@linux
@pytest.mark.parametrize(
    ('flaw', 'fault', 'verdict'),
    [
        ('accepts partial files', 'killed before each change', 'WRONG'),
        ('accepts partial files', 'full from each change on', 'WRONG'),
        ('never unlocks', 'killed before each change', 'LOST'),
        ('raises another error', 'full from each change on', 'UNCLEAR'),
        ('raises another error', 'read-only from each change on', 'UNCLEAR'),
        ('names no file', 'files cannot grow', 'UNCLEAR'),
        ('shares a temporary file', 'two processes', 'UNCLEAR'),
        ('checks no sum', 'torn file', 'WRONG'),
        ('checks no sum', 'flipped bit', 'WRONG'),
        ('checks no table', 'torn table', 'WRONG'),
    ],
)
def test_a_flaw_is_found(tmp_path, flaw, fault, verdict):
    assert verdict in verdicts(lab_of(make_job(flaw), tmp_path), fault)


@linux
def test_every_change_is_counted_and_can_be_the_last(tmp_path):
    lab = lab_of(make_job(), tmp_path)
    kinds = [change.kind for change in lab.changes]
    assert kinds == ['open', 'write', 'write', 'fsync', 'rename']
    sizes = []
    for at in range(len(kinds)):
        place = lab.new_place()
        assert start(lab.job, place, Plan('kill', at)).end().status == 'killed'
        sizes += [path.stat().st_size for path in place.folder.iterdir()]
    whole = (lab.finished / 'out.jsonl').stat().st_size
    assert sizes == [0, 500, whole, whole]


@linux
def test_full_and_read_only_disks_are_real(tmp_path):
    """Runs in its own process, which may not be allowed to mount."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(disk_errors(tmp_path)).encode())
        os._exit(0)
    os.wait()
    found = json.loads(os.read(read, 1000))
    os.close(read)
    os.close(write)
    if isinstance(found, str):
        pytest.skip(found)
    assert found == ['No space left on device', 'Read-only file system']
    assert list(tmp_path.iterdir()) == []


def disk_errors(folder: Path) -> list[str] | str:
    mounts = Mounts()
    try:
        mounts.unshare()
    except OSError as error:
        return f'cannot mount file systems: {error}'
    mounts.add(folder, 4096)
    errors = []
    for prepare in (lambda: None, lambda: mounts.lock(folder)):
        prepare()
        try:
            (folder / 'file').write_bytes(b'x' * 10_000)
        except OSError as error:
            errors.append(error.strerror)
    mounts.lock(folder, locked=False)
    mounts.resize(folder, 1 << 20)
    (folder / 'file').write_bytes(b'x' * 10_000)
    return errors
