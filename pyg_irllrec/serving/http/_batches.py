from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from pyg_irllrec.serving.http._worker_pool import WorkerPool

Key = TypeVar('Key', bound=Hashable)
Member = TypeVar('Member')
Answer = TypeVar('Answer')
MAX_MEMBERS = 64


class Batch(Generic[Member, Answer]):
    r"""Requests that are computed together."""

    future: Future[Sequence[Answer]]

    def __init__(self) -> None:
        self.members: list[Member] = []


class Batches(Generic[Key, Member, Answer]):
    r"""Batches of requests with the same key. Requests that wait for a free thread are
    computed together. No request waits for a batch to fill: the first request that gets
    a thread is computed with all that are waiting at that moment.

    Args:
        pool (WorkerPool): The threads.
        work (callable): Computes one answer per member of a batch, from the key and the
            list of members.
    """

    def __init__(
        self, pool: WorkerPool, work: Callable[[Key, list[Member]], Sequence[Answer]]
    ) -> None:
        self._pool = pool
        self._work = work
        self._waiting: dict[Key, Batch[Member, Answer]] = {}
        self._lock = threading.Lock()

    async def ask(self, key: Key, member: Member) -> Answer:
        r"""Compute the answer to one member, in a batch.

        Raises:
            PoolFull: If too many requests wait.
        """
        with self._lock:
            batch = self._waiting.get(key)
            if batch is None or len(batch.members) >= MAX_MEMBERS:
                batch = Batch()
                batch.future = self._pool.submit(partial(self._run, key, batch))
                self._waiting[key] = batch
            else:
                self._pool.join(batch.future)
            place = len(batch.members)
            batch.members.append(member)
        # A request that is cancelled does not cancel the rest of its batch.
        answers = await asyncio.shield(asyncio.wrap_future(batch.future))
        return answers[place]

    def _run(self, key: Key, batch: Batch[Member, Answer]) -> Sequence[Answer]:
        with self._lock:
            if self._waiting.get(key) is batch:
                del self._waiting[key]
        return self._work(key, batch.members)
