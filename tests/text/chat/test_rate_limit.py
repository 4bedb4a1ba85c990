from __future__ import annotations

import time

from pyg_irllrec.text.chat._rate_limit import RateLimit


def test_evenly(monkeypatch):
    monkeypatch.setattr(time, 'monotonic', lambda: 100.0)
    limit = RateLimit(60)
    assert [limit.reserve(1) for _ in range(3)] == [0, 1, 2]
    assert limit.reserve(5) == 3 and limit.reserve(1) == 8
    limit.correct(-4)
    assert limit.reserve(1) == 5
    monkeypatch.setattr(time, 'monotonic', lambda: 1000.0)
    assert [limit.reserve(1) for _ in range(2)] == [
        0,
        1,
    ]  # Unused time is not saved up.


def test_any_amount():
    limit = RateLimit(None)
    assert [limit.reserve(10**9) for _ in range(3)] == [0, 0, 0]
