"""Requests that are computed in one batch."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

pytest.importorskip('fastapi')

from pyg_irllrec.serving.http import _batches
from pyg_irllrec.serving.http._batches import Batches
from pyg_irllrec.serving.http._worker_pool import PoolFull, WorkerPool


class Recorder:
    r"""Batches for one thread, which is busy until :attr:`free` is set."""

    def __init__(self, capacity: int = 100) -> None:
        self.pool = WorkerPool(1, capacity)
        self.free = threading.Event()
        self.seen: list[tuple[str, list[int]]] = []
        self.batches = Batches(self.pool, self.work)
        self.pool.submit(self.free.wait)

    def work(self, key: str, members: list[int]) -> list[int]:
        self.seen.append((key, list(members)))
        return [-member for member in members]

    async def ask(self, *members: int, key: str = 'a') -> list[Any]:
        asks = [self.batches.ask(key, member) for member in members]
        free = asyncio.get_running_loop().call_later(0.05, self.free.set)
        answers = await asyncio.gather(*asks, return_exceptions=True)
        free.cancel()
        return answers


def test_waiting_requests_are_computed_together():
    recorder = Recorder()
    assert asyncio.run(recorder.ask(1, 2, 3)) == [-1, -2, -3]
    assert recorder.seen == [('a', [1, 2, 3])]
    # The next request finds a free thread and no other request.
    assert asyncio.run(recorder.ask(4)) == [-4]
    assert recorder.seen[1:] == [('a', [4])] and recorder.pool.pending == 0


def test_batches_have_one_key_and_a_limited_size(monkeypatch):
    monkeypatch.setattr(_batches, 'MAX_MEMBERS', 2)
    recorder = Recorder()

    async def both() -> list[Any]:
        return await asyncio.gather(recorder.ask(1, 2, 3), recorder.ask(4, key='b'))

    assert asyncio.run(both()) == [[-1, -2, -3], [-4]]
    assert sorted(recorder.seen) == [('a', [1, 2]), ('a', [3]), ('b', [4])]


def test_a_cancelled_request_does_not_cancel_its_batch():
    recorder = Recorder()

    async def give_up() -> list[Any]:
        first = asyncio.ensure_future(recorder.batches.ask('a', 1))
        second = asyncio.ensure_future(recorder.batches.ask('a', 2))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0.02)
        recorder.free.set()
        return [await second]

    assert asyncio.run(give_up()) == [-2]


def test_each_member_has_a_place_in_the_queue():
    recorder = Recorder(capacity=3)
    first, second, third = asyncio.run(recorder.ask(1, 2, 3))
    assert (first, second) == (-1, -2) and isinstance(third, PoolFull)
    assert recorder.pool.pending == 0


def test_an_error_is_raised_for_all_members():
    recorder = Recorder()
    recorder.batches = Batches(recorder.pool, lambda key, members: 1 // 0)
    answers = asyncio.run(recorder.ask(1, 2))
    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
