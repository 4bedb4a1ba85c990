r"""What is made on first use and then shared by all threads."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Made = TypeVar('Made')


class _Entry:
    def __init__(self) -> None:
        self.lock = Lock()
        self.value: Any = None
        self.is_made = False


_LOCK = Lock()
_ENTRIES: WeakKeyDictionary[object, dict[Hashable, _Entry]] = WeakKeyDictionary()


def made_once(owner: object, key: Hashable, make: Callable[[], Made]) -> Made:
    r"""What :obj:`make` returned in its first call for this owner and key, of several
    threads in that of one. It must not refer to the owner, with which it goes. Copies
    of the owner start without."""
    with _LOCK:
        entry = _ENTRIES.setdefault(owner, {}).setdefault(key, _Entry())
    with entry.lock:
        if not entry.is_made:
            entry.value = make()
            entry.is_made = True
        value: Made = entry.value
        return value
