r"""The results of :mod:`benchmarks.gpu`: a row per measurement, each on disk as soon as
it is there, so that a run that is cut off goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import harness
from benchmarks._gpu_measure import Row
from benchmarks._gpu_report import table

# What must be the same for results to belong together.
SAME = ('gpu', 'torch', 'torch_geometric')


class Entry(NamedTuple):
    """One measurement: its section, what is computed, by whom."""

    section: str
    case: str
    impl: str
    run: Callable[[], Row]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.section, self.case, self.impl


class Store:
    """Rows by their key, in a JSON that is written whole or not at all.

    Raises:
        ValueError: If the file holds no results of this benchmark, or those of another
            machine, of other versions, or of a dry run where this is none.
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
                f'{self.path} holds results of {kept}, dry={report["dry"]}, this is '
                f'{mine}, dry={self.dry}: take another --out'
            )
        for row in report['rows']:
            key = row['section'], row['case'], row['impl']
            if row['state'] == 'started':  # It took the process with it.
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
        """Drop rows of a state, to try them again."""
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
            raise ValueError('it is of another benchmark')
        report['dry'], report['environment'].get('gpu')
        for row in report['rows']:
            ' '.join((row['section'], row['case'], row['impl'], row['state']))
        table(report['rows'])
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is damaged, or holds no results of benchmarks.gpu '
            f"({type(error).__name__}: {error}): move it away, or take another '--out'"
        ) from error
    return report
