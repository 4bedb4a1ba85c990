"""With a stand-in for :mod:`torch.cuda`; test_captured_step.py has tests on a GPU."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from unittest.mock import Mock

import pytest
import torch

from pyg_irllrec.training._cuda_graphs import CaptureError, CudaGraphs, graphs_of

CPU = torch.device('cpu')
POOL = ['endAllocateToPool', 'releasePool']


class Cuda:
    r"""Record calls, and fail as CUDA does if asked to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.breaks = False
        self.captures = True
        self.is_lost = False
        self.debug = 0
        self.stream_now = 'main'
        for name in ('stream', 'graph', 'get_sync_debug_mode', 'set_sync_debug_mode'):
            patch.setattr(torch.cuda, name, getattr(self, name))
        side = Mock(device=torch.device('cuda', 0), __str__=lambda _: 'side')
        patch.setattr(torch.cuda, 'Stream', lambda device: side)
        patch.setattr(torch.cuda, 'CUDAGraph', Mock)
        patch.setattr(torch.cuda, 'device', lambda device: self.stream(self.stream_now))
        patch.setattr(torch.cuda, 'graph_pool_handle', lambda: (0, 1))
        patch.setattr(torch.cuda, 'current_stream', lambda device: Mock())
        patch.setattr(torch.cuda, 'synchronize', self.note('synchronize'))
        patch.setattr(torch.cuda, 'get_rng_state', self.get_rng_state)
        patch.setattr(torch.cuda, 'set_rng_state', self.set_rng_state)
        for name in ('endAllocateToPool', 'releasePool'):
            note = self.note(name)
            patch.setattr(torch._C, f'_cuda_{name}', note, raising=False)

    def get_rng_state(self, device):
        if self.is_lost:
            raise RuntimeError('lost')
        return 'drawn'

    def set_rng_state(self, state, device):
        self.calls.append(f'set {state}')

    def note(self, name):
        return lambda *_: self.calls.append(name)

    @contextmanager
    def stream(self, stream):
        before, self.stream_now = self.stream_now, stream
        try:
            yield
        finally:
            self.stream_now = before

    @contextmanager
    def graph(self, graph, *, pool, stream, capture_error_mode):
        assert self.stream_now is stream and pool == (0, 1)
        assert capture_error_mode == 'thread_local'
        if not self.captures:
            raise RuntimeError('not supported')
        self.calls.append('begin')
        try:
            yield
        finally:
            self.calls.append('end')
            if self.breaks:
                self.breaks = False
                raise RuntimeError('capture invalidated\nmore')

    def get_sync_debug_mode(self):
        return self.debug

    def set_sync_debug_mode(self, mode):
        self.debug = mode
        warnings.warn('a prototype feature', stacklevel=1)


@pytest.fixture
def cuda(monkeypatch) -> Cuda:
    return Cuda(monkeypatch)


def test_a_cpu_captures_nothing():
    assert graphs_of(CPU) is None


def test_captures_and_replays(cuda):
    graphs = CudaGraphs(CPU)
    values = torch.ones(2)
    replay = graphs.capture(lambda: values)
    assert cuda.calls == ['begin', 'end'] * 2 and cuda.stream_now == 'main'
    assert replay() is values
    (graph,) = (cell.cell_contents for cell in replay.__closure__[:1])
    graph.replay.assert_called_once_with()


def fail() -> torch.Tensor:
    raise ValueError('on purpose\nand more')


@pytest.mark.parametrize('breaks', [True, False])
def test_recovers_from_a_capture_that_fails(breaks, cuda):
    """In the step, or at the end of the capture. The first error is named."""
    graphs = CudaGraphs(CPU)
    graphs.capture(lambda: torch.ones(1))
    cuda.breaks, cuda.calls = breaks, []
    with pytest.raises(CaptureError, match=r'^ValueError: on purpose$'):
        graphs.capture(fail)
    recovered = ['synchronize', 'begin', 'end', 'set drawn']
    assert cuda.calls == ['begin', 'end', *POOL, *recovered]
    assert cuda.stream_now == 'main'
    cuda.breaks = True
    with pytest.raises(CaptureError, match=r'^RuntimeError: capture invalidated$'):
        graphs.capture(lambda: torch.ones(1))


def test_a_device_that_cannot_capture_continues(cuda):
    cuda.captures = False
    with pytest.raises(CaptureError, match=r'^RuntimeError: not supported$'):
        CudaGraphs(CPU).capture(lambda: torch.ones(1))
    assert cuda.calls == [*POOL, 'synchronize', 'set drawn']


def test_a_lost_device_is_reported(cuda):
    cuda.is_lost = True
    message = r'could not be captured \(ValueError: on purpose\).*with capture=False'
    with pytest.raises(RuntimeError, match=message):
        CudaGraphs(CPU).capture(fail)


def test_warms_up_on_its_own_stream(cuda):
    seen = []
    values = Mock()
    found = CudaGraphs(CPU).warm_up(lambda: seen.append(str(cuda.stream_now)) or values)
    assert found is values and seen == ['side']
    values.record_stream.assert_called_once()


def wait() -> Mock:
    warnings.warn('called a synchronizing CUDA operation', stacklevel=1)
    return Mock()


def draw() -> Mock:
    torch.rand(1)
    return Mock()


@pytest.mark.parametrize(
    ('step', 'cause'),
    [
        (wait, r'it waits for the device at test_cuda_graphs\.py:\d+'),
        (draw, 'it draws random numbers on the CPU'),
        (Mock, None),
    ],
)
def test_a_rehearsal_finds_the_cause_of_a_failing_capture(step, cause, cuda):
    graphs, modes = CudaGraphs(CPU), []
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        _, found = graphs.rehearse(lambda: modes.append(cuda.debug) or step())
    assert found is None if cause is None else re.match(cause, found)
    assert modes == ['warn'] and cuda.debug == 0


def test_a_rehearsal_passes_other_warnings_on(cuda):
    def step() -> Mock:
        warnings.warn('of the model', stacklevel=1)
        return Mock()

    with pytest.warns(UserWarning, match='of the model') as caught:
        CudaGraphs(CPU).rehearse(step)
    assert len(caught) == 1
