from __future__ import annotations

import threading
import time
from typing import Optional


class RateLimit:
    r"""A rate limit that all threads share. It spreads the amount evenly over time.

    Args:
        per_minute (float, optional): The amount per minute; :obj:`None` for no limit.
    """

    def __init__(self, per_minute: Optional[float]) -> None:
        self._seconds_per_unit = 0.0 if per_minute is None else 60 / per_minute
        self._lock = threading.Lock()
        self._next_start = 0.0

    def reserve(self, amount: float) -> float:
        r"""Reserve an amount and return the number of seconds to wait before using
        it."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + amount * self._seconds_per_unit
            return start - now

    def correct(self, amount: float) -> None:
        r"""Reserve an additional amount, or give back an unused one (negative)."""
        with self._lock:
            self._next_start += amount * self._seconds_per_unit
