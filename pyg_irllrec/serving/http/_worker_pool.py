from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar('Result')


class PoolFull(Exception):
    r"""The queue of requests is full."""


class WorkerPool:
    r"""A pool of threads with a bounded queue.

    Args:
        threads (int): The number of requests processed at a time. Each uses one thread
            of torch, because more would compete for the same cores.
        capacity (int): The maximum number of requests that are processed or wait.
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
        r"""The number of requests that are processed or wait."""
        return self._pending

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        r"""Queue work.

        Raises:
            PoolFull: If the queue is full.
        """
        self._take_place()
        future = self._executor.submit(torch.no_grad()(work))
        # After a timeout, work keeps its place until its thread is free.
        future.add_done_callback(self._leave)
        return future

    def join(self, future: Future[Any]) -> None:
        r"""Count one more request for queued work.

        Raises:
            PoolFull: If the queue is full.
        """
        self._take_place()
        future.add_done_callback(self._leave)

    async def run(self, work: Callable[[], Result]) -> Result:
        r"""Queue work and wait for its result."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        r"""Stop the threads after their current work."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _take_place(self) -> None:
        with self._lock:
            if self._pending >= self._capacity:
                raise PoolFull
            self._pending += 1

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1
