from __future__ import annotations

import json
import sys
import warnings
from functools import partial
from unittest.mock import create_autospec, patch

import pytest
import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent

from benchmarks import (
    _gpu_checks,
    _gpu_measure,
    _gpu_report,
    gpu,
    readme,
)
from benchmarks._gpu_measure import PEAKS, Work, find_floor
from benchmarks._gpu_setting import LeftOut, Setting, need
from benchmarks._gpu_store import Entry, Store

CUDA = torch.device('cuda')


class Bench:
    """A section whose rows are counted, and fail on demand."""

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


def run(out, *words):
    return gpu.main(['--dry', '--out', str(out), *words])


def rows_of(out):
    report = json.loads(out.with_suffix('.json').read_text())
    return {row['impl']: row for row in report['rows']}


def test_a_row_that_fails_is_recorded_and_the_others_go_on(tmp_path, bench, capsys):
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
    assert '| sum | good |' in printed
    assert printed == (tmp_path / 'gpu.md').read_text()
    assert 'error: toy | sum | bad: RuntimeError: no luck' in errors
    assert 'error: toy | sum | wrong: off by 0.5' in errors


def test_a_second_call_goes_on_with_what_is_missing(tmp_path, bench, capsys):
    assert run(tmp_path / 'gpu', '--budget', '-1') == 0
    assert (
        bench.calls == [] and '4 rows are not measured yet' in capsys.readouterr().out
    )
    assert run(tmp_path / 'gpu') == 1 and len(bench.calls) == 4
    assert run(tmp_path / 'gpu') == 1 and len(bench.calls) == 4
    bench.fails = set()
    run(tmp_path / 'gpu', '--retry')
    assert bench.calls[4:] == ['bad']
    assert rows_of(tmp_path / 'gpu')['bad']['state'] == 'done'


def test_what_killed_the_process_is_not_started_again(tmp_path, bench):
    with patch.object(bench, 'run', side_effect=KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / 'gpu')
    assert rows_of(tmp_path / 'gpu')['good']['state'] == 'started'
    run(tmp_path / 'gpu')
    assert bench.calls == ['bad', 'absent', 'wrong']
    assert rows_of(tmp_path / 'gpu')['good']['why'] == 'the process died'


def test_results_of_another_machine_are_refused(tmp_path, bench, capsys):
    run(tmp_path / 'gpu')
    path = tmp_path / 'gpu.json'
    report = json.loads(path.read_text())
    report['environment']['gpu'] = 'NVIDIA X'
    path.write_text(json.dumps(report))
    assert run(tmp_path / 'gpu') == 2
    assert 'NVIDIA X' in capsys.readouterr().err


def test_a_lost_device_takes_a_fresh_process(tmp_path, bench, monkeypatch):
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
def test_rows_have_names_of_their_own(name):
    keys = [
        entry.key
        for dry in (True, False)
        for entry in gpu.SECTIONS[name](Setting(torch.device('cpu'), dry))
    ]
    real = keys[len(keys) // 2 :]
    assert len(set(real)) == len(real) > 0
    assert {key[0] for key in keys} == {name}


def test_goals_are_of_rows_that_there_are():
    setting = Setting(CUDA, False)
    keys = {
        entry.key[1:] for entries in gpu.SECTIONS.values() for entry in entries(setting)
    }
    assert set(_gpu_report.GOALS) <= keys


@pytest.fixture
def stub(monkeypatch):
    """torch.cuda without a GPU: calls must fit its signatures."""
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
    for warm in (True, False):  # The first call may compile: it does not count.
        row = _gpu_measure.measure(lambda: calls.append(1), CUDA, warm=warm)
        assert row['seconds'] == 9 and row['calls'] == 1
    assert len(calls) == 1 + 2


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
    """The meta device stands for a GPU, with which torch's own generator stays."""
    torch.manual_seed(3)
    with _gpu_checks.HostDraws():
        assert torch.rand(3, device='meta').device.type == 'meta'
    after = torch.rand(2)
    torch.manual_seed(3)
    torch.rand(3)
    assert torch.equal(after, torch.rand(2))


def test_nan_is_no_agreement():
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


def test_figures_in_the_docs(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, 'RESULTS', tmp_path)
    assert readme.gpu() == readme.gpu_summary() == readme.NO_GPU
    store = Store(tmp_path / 'gpu.json', dry=False)
    entry = Entry('step', 'text 1536', 'exact, captured', dict)
    store.put(entry, 'done', {'seconds': 3e-3, 'kernels': 390})
    assert '| text 1536 | exact, captured | 3 ms | 4 ms |' in readme.gpu_summary()
    assert '| exact, captured | 3 ms | 4 ms | 390 |' in readme.gpu()
    assert 'missed' not in readme.gpu()


def test_a_peer_is_left_out_by_its_name():
    need('torch')
    with pytest.raises(LeftOut, match='no_such_package is not installed'):
        need('no_such_package')
