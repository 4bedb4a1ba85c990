r"""The functions of :mod:`torch.cuda` that a captured step needs, in one place, so that
tests can replace them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor

Run = Callable[[], Tensor]


class CaptureError(RuntimeError):
    r"""A step cannot be captured. The message is the cause."""


class CudaGraphs:
    r"""Run steps on a side stream of a device, and capture them.

    Args:
        device (torch.device): The device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        # All graphs share a pool of memory: they are replayed one after the other, and
        # their results are copied before the next one runs. A graph that is never
        # replayed keeps the pool alive when the last of the others is captured again.
        self._pool = torch.cuda.graph_pool_handle()
        self._keeper: Optional[torch.cuda.CUDAGraph] = None

    def warm_up(self, run: Run) -> Tensor:
        r"""Run a step on the stream that will capture it. Torch requires this, so that
        libraries create their handles and kernels are loaded."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            values = run()
        current.wait_stream(self._stream)
        values.record_stream(current)
        return values

    def rehearse(self, run: Run) -> tuple[Tensor, Optional[str]]:
        r"""Warm up, and also return the cause for which a capture would fail, if there
        is one: torch recovers badly from a failed capture."""
        before, drawn = torch.cuda.get_sync_debug_mode(), torch.get_rng_state()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')
            try:
                values = self.warm_up(run)
            finally:
                torch.cuda.set_sync_debug_mode(before)
        cause = None
        if not torch.equal(drawn, torch.get_rng_state()):
            cause = 'it draws random numbers on the CPU: pass a generator of the device'
        for each in caught:
            text = str(each.message)
            if 'called a synchronizing' in text:
                place = f'{Path(each.filename).name}:{each.lineno}'
                cause = f'it waits for the device at {place}'
            elif 'prototype feature' not in text:
                warnings.warn_explicit(
                    each.message, each.category, each.filename, each.lineno
                )
        return values, cause

    def capture(self, run: Run) -> Run:
        r"""Capture a step, without running it, and return a function that replays it.
        Each replay returns the same tensor, with new values.

        Raises:
            CaptureError: If the step cannot be captured. The device can still be used.
            RuntimeError: If the device can no longer be used.
        """
        graph, cause = torch.cuda.CUDAGraph(), None
        try:
            if self._keeper is None:
                self._keeper = self._capture_nothing()
            with self._capturing(graph):
                values = run()
        except Exception as error:
            cause = _describe(error)
        # Not in the except block, where the error keeps the tensors of the step alive.
        if cause is not None:
            self._recover(graph, cause)
            raise CaptureError(cause)

        def replay() -> Tensor:
            graph.replay()
            return values

        return replay

    @contextmanager
    def _capturing(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        # The outer context restores the stream if the inner one fails to.
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            with torch.cuda.graph(
                graph,
                pool=self._pool,
                stream=self._stream,
                # Work of other threads on the device must not end the capture.
                capture_error_mode='thread_local',
            ):
                yield

    def _capture_nothing(self) -> torch.cuda.CUDAGraph:
        graph, number = torch.cuda.CUDAGraph(), torch.zeros(1, device=self._device)
        with self._capturing(graph):
            number.add_(1)
        return graph

    def _recover(self, graph: torch.cuda.CUDAGraph, cause: str) -> None:
        r"""Clean up after a failed capture. Before torch 2.12, it leaves the pool of
        the allocator open, which would keep the memory of a step, and the generator in
        a state that a successful capture resets."""
        try:
            with suppress(RuntimeError):  # The pool may be closed already.
                index = self._stream.device.index
                torch._C._cuda_endAllocateToPool(index, self._pool)
                torch._C._cuda_releasePool(index, self._pool)
            graph.reset()
            torch.cuda.synchronize(self._device)
            with suppress(RuntimeError):  # Some devices cannot capture at all.
                self._capture_nothing()
            drawn = torch.cuda.get_rng_state(self._device)
            torch.rand(1, device=self._device).cpu()
            torch.cuda.set_rng_state(drawn, self._device)
        except Exception as error:
            raise RuntimeError(
                f'a training step could not be captured ({cause}), and torch cannot '
                'continue in this process: start a new one with capture=False'
            ) from error


def _describe(error: BaseException) -> str:
    r"""Describe the first error of a chain: a failed capture raises others after it."""
    while error.__context__ is not None:
        error = error.__context__
    text = str(error).strip().partition('\n')[0]
    return f'{type(error).__name__}: {text}'


def graphs_of(device: torch.device) -> Optional[CudaGraphs]:
    r"""Return an object that captures steps on a device, if it is a GPU."""
    return CudaGraphs(device) if device.type == 'cuda' else None
