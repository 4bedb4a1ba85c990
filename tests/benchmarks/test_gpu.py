from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import warnings
from functools import partial
from unittest.mock import create_autospec, patch

import pytest
import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from benchmarks import (
    _figures,
    _figures_of_speed,
    _gpu_blocks,
    _gpu_checks,
    _gpu_contrast,
    _gpu_graph,
    _gpu_measure,
    _gpu_report,
    gpu,
)
from benchmarks._gpu_measure import PEAKS, Work, find_floor
from benchmarks._gpu_setting import LeftOut, Setting, need
from benchmarks._gpu_store import Entry, Store
from pyg_irllrec.functional._kernels import intent_propagate_triton
from pyg_irllrec.testing import BackboneTests

CUDA = torch.device('cuda')


class Bench:
    """A section that records its calls and fails on demand."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails = {'bad'}

    def entries(self, setting: Setting):
        for impl in ('good', 'bad', 'absent', 'wrong'):
            yield Entry('toy', 'sum', impl, partial(self.run, impl))

    def run(self, impl: str):
        self.calls.append(impl)
        if impl in self.fails:
            raise RuntimeError('no luck\nat all')
        if impl == 'absent':
            need('no_such_package')
        if impl == 'wrong':
            warnings.warn('careful', UserWarning, stacklevel=1)
            return {'agrees': False, 'max_error': 0.5}
        return {'seconds': 1e-3}


@pytest.fixture
def bench(monkeypatch):
    toy = Bench()
    monkeypatch.setattr(gpu, 'SECTIONS', {'toy': toy.entries})
    return toy


KILLED = {'section': 'toy', 'case': 'sum', 'impl': 'good', 'state': 'started'}


def run(out, *words):
    return gpu.main(['--dry', '--out', str(out), *words])


def rows_of(out):
    report = json.loads(out.with_suffix('.json').read_text())
    return {row['impl']: row for row in report['rows']}


def test_a_row_that_fails_is_recorded_and_the_others_continue(tmp_path, bench, capsys):
    assert run(tmp_path / 'gpu') == 1
    rows = rows_of(tmp_path / 'gpu')
    assert [row['state'] for row in rows.values()] == [
        'done',
        'failed',
        'left out',
        'done',
    ]
    assert rows['bad']['why'] == 'RuntimeError: no luck'
    assert rows['absent']['why'] == 'no_such_package is not installed'
    assert rows['wrong']['warnings'] == ['careful']
    printed, errors = capsys.readouterr()
    assert '| sum | good |' in printed and 'Dry run at toy size' in printed
    assert printed == (tmp_path / 'gpu.md').read_text()
    assert 'error: toy | sum | bad: RuntimeError: no luck' in errors
    assert 'error: toy | sum | wrong: off by 0.5' in errors


def test_a_second_call_measures_the_missing_rows(tmp_path, bench, capsys):
    assert run(tmp_path / 'gpu', '--budget', '1e-9') == 3
    assert bench.calls == [] and '4 rows are not measured' in capsys.readouterr().err
    assert run(tmp_path / 'gpu') == 1 and len(bench.calls) == 4
    assert run(tmp_path / 'gpu') == 1 and len(bench.calls) == 4
    bench.fails = set()
    run(tmp_path / 'gpu', '--retry')
    assert bench.calls[4:] == ['bad']
    assert rows_of(tmp_path / 'gpu')['bad']['state'] == 'done'


def test_a_row_that_killed_the_process_is_not_started_again(tmp_path, bench):
    with patch.object(bench, 'run', side_effect=SystemExit):  # Nothing is cleaned up.
        with pytest.raises(SystemExit):
            run(tmp_path / 'gpu')
    assert rows_of(tmp_path / 'gpu')['good'] == KILLED
    run(tmp_path / 'gpu')
    assert bench.calls == ['bad', 'absent', 'wrong']
    assert rows_of(tmp_path / 'gpu')['good']['why'] == 'the process died'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_row_is_measured_by_the_next_call(
    tmp_path, bench, capsys, number
):
    def stop(impl):
        if impl == 'bad':
            signal.raise_signal(number)
        return {}

    before = signal.getsignal(signal.SIGTERM)
    with patch.object(bench, 'run', side_effect=stop):
        assert run(tmp_path / 'gpu') == 130
    assert signal.getsignal(signal.SIGTERM) == before
    assert list(rows_of(tmp_path / 'gpu')) == ['good']
    last = capsys.readouterr().err.splitlines()[-1]
    assert f'run the same command with --out {tmp_path / "gpu"}' in last
    assert run(tmp_path / 'gpu') == 1
    assert bench.calls == ['bad', 'absent', 'wrong']


def test_failures_of_other_sections_do_not_count(tmp_path, bench, monkeypatch):
    assert run(tmp_path / 'gpu') == 1
    monkeypatch.setattr(gpu, 'SECTIONS', {'empty': lambda setting: iter(())})
    assert run(tmp_path / 'gpu') == 0


REPORT = {
    'benchmark': 'gpu',
    'environment': {},
    'dry': True,
    'rows': [{**KILLED, 'state': 'done'}],
}


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        json.dumps(REPORT)[:-9],
        json.dumps({**REPORT, 'rows': 5}),
        json.dumps({**REPORT, 'rows': [{'case': 'a', 'impl': 'b', 'state': 'done'}]}),
        json.dumps({**REPORT, 'rows': [{**REPORT['rows'][0], 'seconds': 'x'}]}),
        json.dumps({**REPORT, 'benchmark': 'parity'}),
        json.dumps({**REPORT, 'environment': None}),
    ],
)
def test_a_file_that_is_not_a_report_is_kept(tmp_path, bench, capsys, text):
    path = tmp_path / 'gpu.json'
    path.write_text(text)
    assert run(tmp_path / 'gpu') == 2 and bench.calls == []
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line and 'move it away' in line
    assert path.read_text() == text and list(tmp_path.iterdir()) == [path]


def test_a_page_without_results_is_kept(tmp_path, bench, capsys):
    page = tmp_path / 'README.md'
    page.write_text('mine')
    assert run(tmp_path / 'README') == 2 and bench.calls == []
    assert "use another '--out'" in capsys.readouterr().err
    assert page.read_text() == 'mine'


@pytest.mark.parametrize('out', ['file/gpu', 'x', 'y', 'folder', '.', 'n' * 300])
def test_a_place_that_cannot_be_written_is_refused(
    tmp_path, bench, capsys, monkeypatch, out
):
    (tmp_path / 'file').touch()
    for name in ('folder', 'x.json', 'y.md'):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(out) == 2 and bench.calls == []
    assert capsys.readouterr().err.startswith('error: ')


@pytest.mark.parametrize(
    'option, value',
    [
        *(('--budget', value) for value in ('-1', '0', 'nan', 'soon')),
        *(('--out', value) for value in ('', 'folder/')),
    ],
)
def test_wrong_arguments_are_refused(capsys, option, value):
    with pytest.raises(SystemExit) as stopped:
        gpu.main(['--dry', f'{option}={value}'])
    assert stopped.value.code == 2
    assert f'argument {option}: {value!r} is not' in capsys.readouterr().err


def test_names_of_results():
    assert gpu.parse(['--out', 'a/gpu.json', '--budget', 'inf']).out.name == 'gpu'
    assert gpu.parse(['--budget', 'inf']).budget == math.inf
    path = gpu.parse(['--out', 'torch-2.11']).out
    assert gpu.beside(path, '.json').name == 'torch-2.11.json'


def test_results_of_another_machine_are_refused(tmp_path, bench, capsys):
    run(tmp_path / 'gpu')
    path = tmp_path / 'gpu.json'
    report = json.loads(path.read_text())
    report['environment']['gpu'] = 'NVIDIA X'
    path.write_text(json.dumps(report))
    assert run(tmp_path / 'gpu') == 2
    assert 'NVIDIA X' in capsys.readouterr().err


def test_after_a_lost_device_a_fresh_process_continues(tmp_path, bench, monkeypatch):
    words = []

    def execv(path, argv):
        words.extend([path, *argv])
        raise SystemExit

    monkeypatch.setattr(gpu.os, 'execv', execv)
    monkeypatch.setattr(gpu, 'is_lost', lambda setting: bench.calls[-1] == 'bad')
    with pytest.raises(SystemExit):
        run(tmp_path / 'gpu', '--sections', 'toy', '--budget', '100')
    assert bench.calls == ['good', 'bad']
    assert words[:4] == [sys.executable, sys.executable, '-m', 'benchmarks.gpu']
    again = gpu.parse(words[4:])
    assert again.dry and again.out == tmp_path / 'gpu' and again.sections == ['toy']
    assert 0 < again.budget < 100 and not again.retry


def test_it_needs_a_gpu_or_a_dry_run(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert gpu.main([]) == 2
    assert '--dry runs on a CPU' in capsys.readouterr().err
    assert 'python -m benchmarks.gpu' in gpu.__doc__


def test_sections_run_at_toy_size(tmp_path):
    """make gpu-dry runs them all."""
    sections = 'environment', 'data', 'precision'
    assert run(tmp_path / 'gpu', '--sections', *sections) == 0
    rows = rows_of(tmp_path / 'gpu')
    assert {row['state'] for row in rows.values()} == {'done'}
    assert rows['evaluate']['seconds'] > 0


@pytest.mark.parametrize('name', gpu.SECTIONS)
def test_keys_of_rows_are_unique(name):
    keys = [
        entry.key
        for dry in (True, False)
        for entry in gpu.SECTIONS[name](Setting(torch.device('cpu'), dry))
    ]
    real = keys[len(keys) // 2 :]
    assert len(set(real)) == len(real) > 0
    assert {key[0] for key in keys} == {name}


def test_the_sampled_tests_exist():
    paths = [_gpu_checks.ROOT / name for name in _gpu_checks.TESTS]
    files = [file for path in paths for file in (path, *path.glob('test_*.py'))]
    found = ' '.join(dir(BackboneTests)) + ' '.join(
        file.stem + ' '.join(re.findall(r'def (test_\w+)', file.read_text()))
        for file in files
        if file.is_file()
    )
    assert all(path.exists() for path in paths)
    assert all(name in found for name in _gpu_checks.TEST_NAMES.split(' or '))


@pytest.mark.parametrize(
    'dry, code, outcome, agrees',
    [
        (True, 0, '49 tests collected', None),
        (True, 4, 'ERROR', False),
        (False, 0, '49 passed', True),
        (False, 0, '49 skipped', False),
        (False, 1, '1 failed, 48 passed', False),
    ],
)
def test_tests_agree_only_if_some_pass(monkeypatch, dry, code, outcome, agrees):
    done = subprocess.CompletedProcess([], code, outcome, '')
    monkeypatch.setattr(_gpu_checks.subprocess, 'run', lambda *args, **kwargs: done)
    row = _gpu_checks._run_tests(Setting(torch.device('cpu'), dry))
    assert row.get('agrees') is agrees and row['outcome'] == outcome


def test_goals_belong_to_existing_rows():
    setting = Setting(CUDA, False)
    keys = {
        entry.key[1:] for entries in gpu.SECTIONS.values() for entry in entries(setting)
    }
    assert set(_gpu_report.GOALS) <= keys


@pytest.fixture
def stub(monkeypatch):
    """A torch.cuda without a GPU, whose calls must match the real signatures."""
    event = create_autospec(torch.cuda.Event, instance=True)
    event.elapsed_time.return_value = 2.0
    values = {
        'synchronize': None,
        'reset_peak_memory_stats': None,
        'memory_allocated': 2**20,
        'max_memory_allocated': 3 * 2**20,
        'get_device_name': 'NVIDIA H200',
    }
    for name, value in values.items():
        fake = create_autospec(getattr(torch.cuda, name), return_value=value)
        monkeypatch.setattr(torch.cuda, name, fake)
    made = create_autospec(torch.cuda.Event, return_value=event)
    monkeypatch.setattr(torch.cuda, 'Event', made)
    return event


def test_a_gpu_is_timed_by_its_events(stub):
    calls = []
    work = Work(bytes=4.8e9)
    row = _gpu_measure.measure(lambda: calls.append(1), CUDA, work=work, most=7)
    assert row == {
        'seconds': 2e-3,
        'calls': 7,
        'extra_mb': 2.0,
        'floor_seconds': 1e-3,
        'bound_by': 'bytes',
        'of_floor': 0.5,
    }
    assert len(calls) == 2 + _gpu_measure.WARM_UP + 7
    assert stub.record.call_count == 8


def test_a_long_call_is_not_repeated(stub, monkeypatch):
    monkeypatch.setattr(_gpu_measure, '_time_once', lambda step, device: step() or 9.0)
    calls = []
    for warm in (True, False):  # The first call may compile, so it does not count.
        row = _gpu_measure.measure(lambda: calls.append(1), CUDA, warm=warm)
        assert row['seconds'] == 9 and row['calls'] == 1
    assert len(calls) == 1 + 2


def test_a_dry_run_compiles_before_it_measures(monkeypatch):
    made, measured = [], []
    setting = Setting(torch.device('cpu'), True)

    def same(*args):
        return lambda x, intent: made.append(1) or x * intent

    def loss_of(*args, **options):
        return lambda query, key, keys: made.append(1) or (query * key).mean()

    def measure(step, device, **options):
        measured.append(len(made))
        return {'seconds': 1.0}

    monkeypatch.setattr(_gpu_graph, 'same', same)
    monkeypatch.setattr(_gpu_graph, 'measure', measure)
    monkeypatch.setattr(_gpu_contrast, 'loss_of', loss_of)
    monkeypatch.setattr(_gpu_contrast, 'measure', measure)
    _gpu_contrast._time_form(setting, 150, 32, 'plain, compiled')
    assert measured == [1]
    _gpu_graph._double.cache_clear()
    _gpu_graph.time_layer(setting, 'amazon d=32', 32, 'plain, compiled')
    assert measured[1:] == [4, 4]  # After a step and a forward pass.
    _gpu_graph._double.cache_clear()


def test_splits_are_those_of_the_kernel(monkeypatch):
    seen = []

    def time_layer(setting, case, dim, impl):
        seen.append(intent_propagate_triton.LEAST_SPLIT)
        return {}

    monkeypatch.setattr(_gpu_blocks, 'time_layer', time_layer)
    before = intent_propagate_triton.LEAST_SPLIT
    for entry in _gpu_blocks.entries(Setting(CUDA, False)):
        if entry.impl.startswith('split'):
            entry.run()
    assert tuple(seen) == _gpu_blocks.SPLITS and before in seen
    assert before == intent_propagate_triton.LEAST_SPLIT


def test_floors():
    peaks = PEAKS['H200']
    flops = 8.0 * 100_000**2 * 64
    seconds, bound = find_floor(Work(flops, precision='two halves'), peaks)
    assert bound == 'products' and seconds == pytest.approx(3 * flops / 989.4e12)
    once, _ = find_floor(Work(flops, precision='bfloat16'), peaks)
    assert once == pytest.approx(seconds / 3)
    assert find_floor(Work(1.0, exps=1e12), peaks)[1] == 'exps'


def test_draws_come_from_the_cpu_in_order():
    def draw():
        torch.manual_seed(3)
        x = torch.zeros(4)
        return [
            torch.rand(2),
            torch.randn_like(x),
            x.normal_(),
            torch.nn.functional.dropout(torch.ones(5), 0.5),
            torch.randperm(6),
        ]

    expected = draw()
    with _gpu_checks.HostDraws():
        found = draw()
    for value, other in zip(expected, found):
        assert torch.equal(value, other)


def test_draws_reach_the_device():
    """The meta device replaces a GPU: its draws use the generator of the CPU."""
    torch.manual_seed(3)
    with _gpu_checks.HostDraws():
        assert torch.rand(3, device='meta').device.type == 'meta'
    after = torch.rand(2)
    torch.manual_seed(3)
    torch.rand(3)
    assert torch.equal(after, torch.rand(2))


def test_nan_does_not_agree():
    assert _gpu_checks.verdict(float('nan'), 1.0)['agrees'] is False
    assert _gpu_checks._worst([0.1, float('nan'), 0.2]) != 0.2
    assert _gpu_checks._worst([0.1, 0.3, 0.2]) == 0.3


def test_kernels_are_counted():
    x = torch.ones(3)
    row = _gpu_measure.count_kernels(lambda: x + x, torch.device('cpu'))
    assert row['kernels'] == 1 and row['busy_seconds'] > 0


def test_kernels_of_a_gpu_are_counted(stub, monkeypatch):
    def event(kind, microseconds, marked=False):
        return FunctionEvent(
            *(0, 'name', 0, 0.0, microseconds),
            device_type=kind,
            is_user_annotation=marked,
        )

    events = [
        event(DeviceType.CUDA, 2e6),
        event(DeviceType.CUDA, 4e6),
        event(DeviceType.CUDA, 9e6, marked=True),
        event(DeviceType.CPU, 9e6),
    ]
    events = 3 * [*events, event(DeviceType.CUDA, 0.0)]
    profiled = create_autospec(torch.profiler.profile, instance=True)
    profiled.__enter__.return_value.events.return_value = events
    monkeypatch.setattr(_gpu_measure, 'profile', lambda activities: profiled)
    calls = []
    row = _gpu_measure.count_kernels(lambda: calls.append(1), CUDA)
    assert row == {'kernels': 3, 'busy_seconds': 6.0} and len(calls) == 4


def test_the_report():
    step = {'section': 'step', 'case': 'text 1536', 'impl': 'exact, captured'}
    blocks = {'section': 'blocks', 'case': 'n=9', 'state': 'done'}
    rows = [
        {**step, 'state': 'done', 'seconds': 5e-3, 'kernels': 900},
        {**step, 'impl': 'plain', 'state': 'failed', 'why': 'a | b'},
        {**blocks, 'impl': 'a', 'seconds': 3.0, 'forward_seconds': 1.0},
        {**blocks, 'impl': 'b', 'seconds': 3.0, 'forward_seconds': 2.0},
    ]
    text = _gpu_report.table(rows)
    assert (
        '### step' in text and '| text 1536 | exact, captured | 5 ms | 4 ms |' in text
    )
    assert 'failed: a / b' in text and 'Recall' not in text
    assert _gpu_report.missed(rows) == [
        'text 1536, exact, captured: 5 ms (at most 4 ms)',
        'text 1536, exact, captured: 900 kernels (at most 400)',
    ]
    assert _gpu_report.winners(rows) == ['n=9: forward a; backward b']


def test_the_report_of_a_dry_run_has_no_figures():
    row = {
        'section': 'step',
        'case': 'text 1536',
        'impl': 'exact, captured',
        'state': 'done',
        'seconds': 5e-3,
        'copy_bytes_per_second': 3e9,
        'agrees': True,
    }
    lines = _gpu_report.table([row], dry=True).splitlines()
    assert 'Dry run at toy size' in lines[0]
    assert lines[-1] == '| text 1536 | exact, captured | done | yes |'


def test_figures_in_the_docs(tmp_path, monkeypatch):
    monkeypatch.setattr(_figures, 'RESULTS', tmp_path)
    assert (
        _figures_of_speed.gpu()
        == _figures_of_speed.gpu_summary()
        == _figures_of_speed.NO_GPU
    )
    store = Store(tmp_path / 'gpu.json', dry=False)
    entry = Entry('step', 'text 1536', 'exact, captured', dict)
    store.put(entry, 'done', {'seconds': 3e-3, 'kernels': 390})
    assert (
        '| text 1536 | exact, captured | 3 ms | 4 ms |'
        in _figures_of_speed.gpu_summary()
    )
    assert '| exact, captured | 3 ms | 4 ms | 390 |' in _figures_of_speed.gpu()
    assert 'missed' not in _figures_of_speed.gpu()


def test_a_peer_is_left_out_by_its_name():
    need('torch')
    with pytest.raises(LeftOut, match='no_such_package is not installed'):
        need('no_such_package')
