from __future__ import annotations

from typing import Any, Protocol

Record = dict[str, Any]


class Source(Protocol):
    r"""A file or frame that a dataset is built from. Datasets are not built again from
    sources that match their records."""

    def record(self) -> Record:
        r"""Its record, for a manifest."""

    def matches(self, record: Record) -> bool:
        r"""Whether the record is one of this source."""
