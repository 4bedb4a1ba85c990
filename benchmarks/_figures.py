r"""Results and formats that the figures of :mod:`benchmarks.readme` share."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / 'results'

EQUAL = 1e-5
"""Numbers with a larger relative error are not the same."""

Row = dict[str, Any]


# Results.


def report(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f'{name}.json').read_text())
    return found


def has_report(name: str) -> bool:
    return (RESULTS / f'{name}.json').exists()


def rows_of(name: str) -> list[Row]:
    rows: list[Row] = report(name)['rows']
    return rows


def command(name: str) -> str:
    """The command that wrote a JSON, without file names, and a link to the JSON."""
    words = report(name)['command'].split()
    if words[1] != '-m':
        words[1:2] = ['-m', f'benchmarks.{Path(words[1]).stem}']
    kept = [
        word
        for place, word in enumerate(words)
        if not {word, words[place - 1]} & {'--json', '--png'}
    ]
    return f'`{" ".join(kept)}` ([JSON](benchmarks/results/{name}.json))'


def machine(name: str) -> str:
    environment = report(name)['environment']
    threads = environment['threads']
    cores = f'{threads} core{"s" if threads > 1 else ""}'
    torch = '.'.join(environment['torch'].split('+')[0].split('.')[:2])
    return f'{cores} of an {environment["processor"]}, torch {torch}'


# Formats.


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(head), *lines]
    text = [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join([text[0], '|---' * len(rows[0]) + '|', *text[1:]])


def seconds(value: float) -> str:
    if value >= 10:
        return f'{value:.0f} s'
    return f'{value:.2f} s' if value >= 0.1 else f'{1e3 * value:.3g} ms'


def megabytes(value: float) -> str:
    return f'{value:.0f} MB' if value < 1000 else f'{value / 1000:.1f} GB'


def peers(rows: list[Row]) -> str:
    """A table of all peers of all cases, each compared with the first of its case."""
    first: dict[str, float] = {}
    lines = []
    for row in rows:
        base = first.setdefault(row['case'], row['seconds'])
        error = row['max_error']
        mark = ' †' if error is not None and not error <= EQUAL else ''
        lines.append(
            [
                row['case'],
                row['impl'],
                seconds(row['seconds']),
                f'{base / row["seconds"]:.3g}',
                megabytes(row['extra_mb']),
                '' if error is None else f'{error:.0e}{mark}',
            ]
        )
    head = (
        'case', 'implementation', 'time', 'x the first', 'extra memory', 'error'
    )  # fmt: skip
    text = table(head, lines)
    if any('†' in line[-1] for line in lines):
        text += '\n\n† The error is above 1e-5: not the same numbers.'
    return text


def missed(lines: list[str]) -> str:
    """The targets that a benchmark misses."""
    names = [line.removesuffix(': NO)') + ')' for line in lines if 'NO)' in line]
    return f'\n\nTargets missed: {"; ".join(names)}.' if names else ''


def by(rows: list[Row], **values: object) -> list[Row]:
    return [row for row in rows if all(row[k] == v for k, v in values.items())]


def mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)
