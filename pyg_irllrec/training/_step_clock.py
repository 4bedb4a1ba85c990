r"""The time of steps, where a host runs ahead of its device."""

from __future__ import annotations

import time
from itertools import pairwise

import torch


class StepClock:
    r"""Times the steps of an epoch from the start of one to that of the next, on a GPU
    by its own clock: the host has launched several before the first one ends.

    Args:
        device (torch.device): Where the steps run.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == 'cuda'
        self._seconds: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def tick(self) -> None:
        r"""Notes that a step starts."""
        if not self._on_gpu:
            self._seconds.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def read(self) -> list[float]:
        r"""The seconds of each step but the last, which it forgets. It waits for a
        GPU."""
        starts, self._seconds = self._seconds, []
        events, self._events = self._events, []
        if events:
            events[-1].synchronize()
        return [
            *(end - start for start, end in pairwise(starts)),
            *(start.elapsed_time(end) / 1000 for start, end in pairwise(events)),
        ]
