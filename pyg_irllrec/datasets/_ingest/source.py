from __future__ import annotations

from typing import Any, Protocol

Record = dict[str, Any]


class Source(Protocol):
    r"""A file or frame that a dataset is built from. A dataset is not built again if
    its sources match their records."""

    def record(self) -> Record:
        r"""Return a record of the source, for the manifest."""

    def matches(self, record: Record) -> bool:
        r"""Whether a record belongs to this source."""
