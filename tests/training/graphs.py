"""A stand-in for CUDA graphs, on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_irllrec.training import captured_step
from pyg_irllrec.training._cuda_graphs import CaptureError


class Graphs:
    r"""Records nothing: a replay runs the step that was to be captured, and writes
    what it returns into the same memory each time, as a graph does."""

    def __init__(self, device: torch.device) -> None:
        self.calls: list[str] = []
        self.cause: str | None = None
        self.error: str | None = None

    def warm_up(self, run: Callable[[], Tensor]) -> Tensor:
        self.calls.append('warm up')
        return run()

    def rehearse(self, run: Callable[[], Tensor]) -> tuple[Tensor, str | None]:
        self.calls.append('rehearse')
        return run(), self.cause

    def capture(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.calls.append('capture')
        if self.error is not None:
            raise CaptureError(self.error)
        values: list[Tensor] = []

        def replay() -> Tensor:
            self.calls.append('replay')
            new = run()
            if not values:
                values.append(torch.empty_like(new))
            return values[0].copy_(new)

        return replay


def pretend_graphs(monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[Graphs]:
    r"""Lets a CPU capture steps, and returns what captures those of each
    :class:`CapturedStep` from now on."""
    made = []

    def make(device: torch.device) -> Graphs:
        made.append(Graphs(device))
        for name, value in options.items():
            setattr(made[-1], name, value)
        return made[-1]

    monkeypatch.setattr(captured_step, 'graphs_of', make)
    return made
