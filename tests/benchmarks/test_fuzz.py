from __future__ import annotations

import faulthandler
import json
import os
import pickle
import random
import socket
import subprocess
import sys
import time

import pytest

from benchmarks import fuzz
from benchmarks._fuzz_doors import DOORS, Door
from benchmarks._fuzz_guard import guarded
from benchmarks._fuzz_mutate import mutate

PER_DOOR = -(-500 // len(DOORS))

pytest.importorskip('openai')


@pytest.mark.parametrize('name', DOORS)
def test_mutants_are_read_or_refused(name):
    verdicts = fuzz.try_mutants(name, 1, list(range(PER_DOOR)), processes=False)
    assert len(verdicts) == PER_DOOR
    assert [verdict for verdict in verdicts if verdict.verdict == 'fault'] == []
    assert any(verdict.verdict == 'refused' for verdict in verdicts)


def make(folder):
    (folder / 'in.txt').write_text('valid')
    return [folder / 'in.txt']


@pytest.fixture
def door(monkeypatch):
    """Add a door whose reader handles mutants wrongly."""

    def set_up(broken, **options):
        def read(folder):
            if (folder / 'in.txt').read_bytes() != b'valid':
                return broken(folder)
            return 'valid'

        monkeypatch.setitem(DOORS, 'broken', Door(make, read, **options))

    return set_up


def raise_a_key_error(folder):
    raise KeyError('a')


def leave_a_file(folder):
    (folder / 'left').write_text('x')
    raise ValueError('no')


def write_elsewhere(folder):
    (folder.parent / 'elsewhere').write_text('x')


def run_code(folder):
    exec('a = 1')


def unpickle(folder):
    pickle.loads(pickle.dumps(print))


def start_a_process(folder):
    subprocess.run([sys.executable, '--version'], capture_output=True)


def swallow(folder):
    try:
        os.system('true')
    except Exception:
        pass


def connect(folder):
    with socket.socket() as found:
        found.connect_ex(('127.0.0.1', 9))


def sleep(folder):
    time.sleep(20)


def return_another(folder):
    return 'other'


@pytest.mark.parametrize(
    ('broken', 'message'),
    [
        (raise_a_key_error, "KeyError: 'a'"),
        (leave_a_file, "leaves files behind: ['left']"),
        (write_elsewhere, "elsewhere' to write"),
        (run_code, "runs code of '<string>'"),
        (unpickle, 'pickle.find_class'),
        (start_a_process, 'subprocess.Popen'),
        (swallow, 'os.system'),
        (connect, 'socket.connect'),
        (sleep, 'takes more than 0.2 seconds'),
        (return_another, 'reads another value'),
    ],
)
def test_faults_are_found(door, monkeypatch, broken, message):
    monkeypatch.setattr(fuzz, 'SECONDS', 0.2)
    door(broken, sealed=broken is return_another)
    verdicts = fuzz.try_mutants('broken', 0, list(range(5)), processes=False)
    faults = [verdict for verdict in verdicts if verdict.verdict == 'fault']
    assert faults and all(message in verdict.message for verdict in faults)


def test_a_process_that_dies_is_a_fault_and_the_next_mutant_is_tried(door, tmp_path):
    def die(folder):
        if b'a' not in (folder / 'in.txt').read_bytes():
            faulthandler.disable()  # Pytest's would print the stack.
            os.kill(os.getpid(), 11)

    door(die)
    numbers = list(range(12))
    verdicts = fuzz.try_mutants('broken', 0, numbers)
    assert [verdict.number for verdict in verdicts] == numbers
    assert {'read', 'fault'} == {verdict.verdict for verdict in verdicts}
    assert {v.message for v in verdicts if v.verdict == 'fault'} == {
        'signal 11 killed the process'
    }


def test_mutants_are_reproducible():
    content = bytes(range(99)) + b'{"a": 12}'
    first = [mutate(content, random.Random(seed)) for seed in range(50)]
    assert first == [mutate(content, random.Random(seed)) for seed in range(50)]
    assert len({changed for changed, _ in first}) > 45


def test_the_guard_is_off_outside_its_block(tmp_path):
    with guarded(tmp_path) as breaches:
        (tmp_path / 'inside').write_text('x')
    exec('a = 1')
    assert breaches == []


def test_the_command(door, tmp_path, capsys):
    path = tmp_path / 'fuzz.json'
    words = ['--mutants', '4', '--door', 'answer', '--json', str(path)]
    assert fuzz.main(words) == 0
    (row,) = json.loads(path.read_text())['rows']
    assert row['door'] == 'answer' and row['mutants'] == 4 and row['faults'] == 0
    assert '4 mutants, 0 faults' in capsys.readouterr().out
    door(raise_a_key_error)
    assert fuzz.main(['--mutants', '4', '--door', 'broken']) == 1
    assert "broken: --only 0: KeyError: 'a'" in capsys.readouterr().out
