r"""The time of training steps, also on a device that runs behind its host."""

from __future__ import annotations

import time
from itertools import pairwise

import torch


class StepClock:
    r"""Measure the time of the steps of an epoch, from the start of each to the start
    of the next, and of the last one to its end. On a GPU, use its own clock, because
    the host launches several steps before the first one ends.

    Args:
        device (torch.device): The device on which the steps run.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == 'cuda'
        self._seconds: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def tick(self) -> None:
        r"""Record the start of a step, or the end of the last one."""
        if not self._on_gpu:
            self._seconds.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def read(self) -> list[float]:
        r"""Return the seconds between ticks, and reset the clock. This waits for a
        GPU."""
        starts, self._seconds = self._seconds, []
        events, self._events = self._events, []
        if events:
            events[-1].synchronize()
        return [
            *(end - start for start, end in pairwise(starts)),
            *(start.elapsed_time(end) / 1000 for start, end in pairwise(events)),
        ]
