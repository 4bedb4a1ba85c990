from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar('Result')


class PoolFull(Exception):
    r"""As many requests wait as may wait."""


class WorkerPool:
    r"""A few threads and a queue of bounded length before them.

    Args:
        threads (int): How many requests are worked on at a time, each by one thread of
            torch: more would fight for the same cores.
        capacity (int): How many are worked on or wait.
    """

    def __init__(self, threads: int, capacity: int) -> None:
        self._capacity = capacity
        self._pending = 0
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(
            threads, 'pyg_irllrec', lambda: torch.set_num_threads(1)
        )

    @property
    def pending(self) -> int:
        r"""How many are worked on or wait."""
        return self._pending

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        r"""Queues work.

        Raises:
            PoolFull: If the queue is full.
        """
        self._take_place()
        future = self._executor.submit(torch.no_grad()(work))
        # Work that ran out of time keeps its place until its thread is free.
        future.add_done_callback(self._leave)
        return future

    def join(self, future: Future[Any]) -> None:
        r"""Counts one more request that queued work answers.

        Raises:
            PoolFull: If the queue is full.
        """
        self._take_place()
        future.add_done_callback(self._leave)

    async def run(self, work: Callable[[], Result]) -> Result:
        r"""Queues work and waits for it."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        r"""End the threads, after what they work on."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take_place(self) -> None:
        with self._lock:
            if self._pending >= self._capacity:
                raise PoolFull
            self._pending += 1

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1
