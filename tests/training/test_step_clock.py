from __future__ import annotations

import time

import pytest
import torch

from pyg_irllrec.training._step_clock import StepClock


def test_times_steps_on_a_cpu(monkeypatch):
    monkeypatch.setattr(time, 'perf_counter', iter([1.0, 1.5, 3.5, 9.0]).__next__)
    clock = StepClock(torch.device('cpu'))
    assert clock.read() == []
    for _ in range(3):
        clock.tick()
    assert clock.read() == [0.5, 2.0]
    clock.tick()
    assert clock.read() == []  # The time between two epochs is not a step.


class Event:
    made: list[Event]

    def __init__(self, enable_timing: bool) -> None:
        self.is_read, self.at = False, None
        assert enable_timing

    def record(self) -> None:
        self.at = 4.0 ** len(self.made)  # In milliseconds.
        self.made.append(self)

    def synchronize(self) -> None:
        self.is_read = True

    def elapsed_time(self, end: Event) -> float:
        assert self.made[-1].is_read
        return end.at - self.at


def test_times_steps_on_a_gpu(monkeypatch):
    """With a stand-in for CUDA events."""
    monkeypatch.setattr(torch.cuda, 'Event', Event)
    monkeypatch.setattr(Event, 'made', [], raising=False)
    clock = StepClock(torch.device('cuda'))
    for _ in range(3):
        clock.tick()
    assert clock.read() == [pytest.approx(0.003), pytest.approx(0.012)]
    assert clock.read() == []
