from __future__ import annotations

import threading
import time
from typing import Optional


class RateLimit:
    r"""So much a minute, evenly, for all threads together.

    Args:
        per_minute (float, optional): How much; :obj:`None` for any amount.
    """

    def __init__(self, per_minute: Optional[float]) -> None:
        self._seconds = 0.0 if per_minute is None else 60 / per_minute
        self._lock = threading.Lock()
        self._free = 0.0

    def reserve(self, amount: float) -> float:
        r"""Takes an amount, and says how many seconds to wait before it is used."""
        with self._lock:
            now = time.monotonic()
            start = max(now, self._free)
            self._free = start + amount * self._seconds
            return start - now

    def correct(self, amount: float) -> None:
        r"""Takes more, or gives back what was reserved in vain."""
        with self._lock:
            self._free += amount * self._seconds
