"""A stand-in for CUDA graphs, on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pyg_irllrec.training import captured_step
from pyg_irllrec.training._cuda_graphs import CaptureError


class Graphs:
    r"""Capture nothing: a replay runs the step and, like a graph, writes its result to
    the same memory each time."""

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


# Operators that break a capture: they read values, have shapes that depend on values,
# or copy from the CPU.
SYNCHRONISE = {
    *('item', '_local_scalar_dense', 'is_nonzero', 'equal', 'lift_fresh', 'bincount'),
    *('nonzero', 'masked_select', 'repeat_interleave', 'argwhere', 'histc'),
    *('_unique', '_unique2', 'unique_dim', 'unique_consecutive'),
}


class RecordedGraphs(Graphs):
    r"""Record the operators of a step, as a graph records kernels, and repeat them on
    the same memory. The Python code of the step does not run again."""

    def capture(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.calls.append('capture')
        drawn = torch.get_rng_state()
        recorder = _Recorder()
        with recorder:
            values = run()
        recorder.undo()
        torch.set_rng_state(drawn)

        def replay() -> Tensor:
            self.calls.append('replay')
            recorder.repeat()
            return values

        return replay


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._steps: list[tuple[Any, Any, Any, Any]] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args=(), kwargs=None) -> Any:
        if func.overloadpacket.__name__ in SYNCHRONISE:
            raise CaptureError(f'{func} waits for the device')
        kwargs = kwargs or {}
        for argument, value in zip(func._schema.arguments, args):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for each in tree_leaves(value):
                    self._save(each)
        out = func(*args, **kwargs)
        self._steps.append((func, args, kwargs, out))
        self._made.update(id(each) for each in tree_leaves(out))
        return out

    def _save(self, value: Tensor) -> None:
        if id(value) not in self._made and id(value) not in self._before:
            self._before[id(value)] = value, value.clone()

    @torch.no_grad()
    def undo(self) -> None:
        for value, before in self._before.values():
            value.copy_(before)

    @torch.no_grad()
    def repeat(self) -> None:
        for func, args, kwargs, out in self._steps:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again)):
                if isinstance(old, Tensor) and old.layout is torch.strided:
                    old.copy_(new)


def pretend_graphs(
    monkeypatch: pytest.MonkeyPatch, cls: type[Graphs] = Graphs, **options: Any
) -> list[Graphs]:
    r"""Let a CPU capture steps. The returned list gets the stand-in of every
    :class:`CapturedStep` that is created from now on."""
    made = []

    def make(device: torch.device) -> Graphs:
        made.append(cls(device))
        for name, value in options.items():
            setattr(made[-1], name, value)
        return made[-1]

    monkeypatch.setattr(captured_step, 'graphs_of', make)
    return made
