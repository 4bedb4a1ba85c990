r"""The results of :mod:`benchmarks.gpu`, one row per measurement. Each is written to
disk as soon as it is measured, so that an interrupted run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import harness
from benchmarks._gpu_measure import Row
from benchmarks._gpu_report import table

# Results may share a file only if these are the same.
SAME = ('gpu', 'torch', 'torch_geometric')


class Entry(NamedTuple):
    """One measurement: its section, case and implementation."""

    section: str
    case: str
    impl: str
    run: Callable[[], Row]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.section, self.case, self.impl


class Store:
    """Rows by their key, in a JSON file that is replaced atomically.

    Raises:
        ValueError: If the file has no results of this benchmark, or has results of
            another machine, of other versions, or of the other kind of run (dry or
            real).
    """

    def __init__(self, path: Path, dry: bool) -> None:
        self.path = path
        self.dry = dry
        self.rows: dict[tuple[str, str, str], Row] = {}
        if path.exists():
            self._read()

    def _read(self) -> None:
        report = _load(self.path)
        here = harness.environment()
        kept = {name: report['environment'].get(name) for name in SAME}
        mine = {name: here[name] for name in SAME}
        if kept != mine or report['dry'] != self.dry:
            raise ValueError(
                f'{self.path} has results of {kept} with dry={report["dry"]}, but this '
                f"run is {mine} with dry={self.dry}: use another '--out'"
            )
        for row in report['rows']:
            key = row['section'], row['case'], row['impl']
            if row['state'] == 'started':  # It killed the process.
                row |= {'state': 'failed', 'why': 'the process died'}
            self.rows[key] = row

    def put(self, entry: Entry, state: str, values: Row) -> None:
        section, case, impl = entry.key
        self.rows[entry.key] = {
            'section': section,
            'case': case,
            'impl': impl,
            'state': state,
            **values,
        }
        self._write()

    def forget(self, state: str) -> None:
        """Drop all rows in a state, so that they are measured again."""
        self.rows = {
            key: row for key, row in self.rows.items() if row['state'] != state
        }
        self._write()

    def _write(self) -> None:
        rows = list(self.rows.values())
        harness.write(self.path, 'gpu', rows, {'dry': self.dry})


def _load(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        if report['benchmark'] != 'gpu' or not isinstance(report['rows'], list):
            raise ValueError('it is a report of another benchmark')
        report['dry'], report['environment'].get('gpu')
        for row in report['rows']:
            ' '.join((row['section'], row['case'], row['impl'], row['state']))
        table(report['rows'])
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is damaged or has no results of benchmarks.gpu '
            f"({type(error).__name__}: {error}): move it away or use another '--out'"
        ) from error
    return report
