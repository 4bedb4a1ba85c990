from __future__ import annotations

import threading
import time
from typing import Optional


class RateLimit:
    r"""Spread an amount per minute evenly over all threads.

    Args:
        per_minute (float, optional): The amount per minute; :obj:`None` for no limit.
    """

    def __init__(self, per_minute: Optional[float]) -> None:
        self._seconds_per_unit = 0.0 if per_minute is None else 60 / per_minute
        self._lock = threading.Lock()
        self._next_start = 0.0

    def reserve(self, amount: float) -> float:
        r"""Reserve an amount, and returns the seconds to wait before its use."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next_start)
            self._next_start = start + amount * self._seconds_per_unit
            return start - now

    def correct(self, amount: float) -> None:
        r"""Reserve more, or gives back an amount that was not used."""
        with self._lock:
            self._next_start += amount * self._seconds_per_unit
