from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

T = TypeVar('T')


class PerBundle(Generic[T]):
    r"""A value that is built once per bundle, at the first call from any thread, and
    freed with the bundle. The value must not refer to the bundle.

    Args:
        build (callable): Builds the value from a bundle.
    """

    def __init__(self, build: Callable[[Bundle], T]) -> None:
        self._build = build
        self._built: WeakKeyDictionary[Bundle, T] = WeakKeyDictionary()
        self._lock = Lock()

    def __call__(self, bundle: Bundle) -> T:
        if bundle not in self._built:  # Finished values need no lock.
            with self._lock:
                if bundle not in self._built:
                    self._built[bundle] = self._build(bundle)
        return self._built[bundle]
