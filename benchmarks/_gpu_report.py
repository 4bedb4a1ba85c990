r"""The tables and goals of :mod:`benchmarks.gpu`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Optional

from benchmarks._gpu_measure import Row

Columns = dict[str, Callable[[Row], str]]

# Seconds to reach on an H200, by case and implementation.
GOALS = {
    ('text 1536', 'exact, captured'): 4e-3,
    ('text 1536', 'moments, captured'): 2.5e-3,
    ('n=20332 d=32', 'triton'): 2e-3,
    ('n=20332 d=32', 'moments'): 0.5e-3,
    ('n=100000 d=64', 'triton'): 80e-3,
    ('n=100000 d=64', 'triton, tf32'): 35e-3,
    ('n=1000000 d=64', 'triton'): 8.0,
    ('n=1000000 d=64', 'triton, tf32'): 3.5,
    ('E=20000000 d=64', 'triton'): 8e-3,
    ('evaluation, 11 000 x 9 332', 'evaluate'): 20e-3,
}
MOST_KERNELS = 400
"""The most kernels that a training step should launch."""

DRY = (
    'Dry run at toy size. Each case has the name of the real case that it replaces. '
    'Its figures mean nothing and are left out.'
)


def table(rows: Iterable[Row], dry: bool = False) -> str:
    """The tables of all sections, each under its name."""
    sections: dict[str, list[Row]] = {}
    for row in rows:
        sections.setdefault(row['section'], []).append(row)
    columns = DRY_COLUMNS if dry else COLUMNS
    parts = [
        f'### {name}\n\n{_section(found, columns)}' for name, found in sections.items()
    ]
    return '\n\n'.join([DRY] * dry + parts)


def missed(rows: Iterable[Row]) -> list[str]:
    """One line per goal that is not reached."""
    out = []
    for row in rows:
        goal, seconds = find_goal(row), row.get('seconds')
        where = f'{row["case"]}, {row["impl"]}'
        if goal is not None and seconds is not None and seconds > goal:
            out.append(f'{where}: {_ms(seconds)} (at most {_ms(goal)})')
        if row['section'] == 'step' and row.get('kernels', 0) > MOST_KERNELS:
            out.append(f'{where}: {row["kernels"]} kernels (at most {MOST_KERNELS})')
    return out


def winners(rows: Iterable[Row]) -> list[str]:
    """The best block of each case, for the forward and the backward kernel."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        if row['section'] == 'blocks' and row['state'] == 'done':
            cases.setdefault(row['case'], []).append(row)
    lines = []
    for case, found in cases.items():
        ahead = min(found, key=lambda row: row['forward_seconds'])
        back = min(found, key=lambda row: row['seconds'] - row['forward_seconds'])
        lines.append(f'{case}: forward {ahead["impl"]}; backward {back["impl"]}')
    return lines


def find_goal(row: Row) -> Optional[float]:
    return GOALS.get((row['case'], row['impl']))


def _section(rows: list[Row], columns: Columns) -> str:
    cells = {name: [write(row) for row in rows] for name, write in columns.items()}
    cells = {name: column for name, column in cells.items() if any(column)}
    lines = [list(cells), ['---'] * len(cells), *zip(*cells.values())]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _ms(value: Optional[float]) -> str:
    return '' if value is None else f'{1e3 * value:.3g} ms'


def _share(value: Optional[float]) -> str:
    return '' if value is None else f'{value:.0%}'


def _floor(row: Row) -> str:
    if 'floor_seconds' not in row:
        return ''
    return f'{_ms(row["floor_seconds"])} ({row["bound_by"]})'


def _memory(row: Row) -> str:
    return '' if 'extra_mb' not in row else f'{row["extra_mb"]:.0f} MB'


def _error(row: Row) -> str:
    return '' if 'max_error' not in row else f'{row["max_error"]:.0e}'


def _agrees(row: Row) -> str:
    if 'agrees' not in row:
        return ''
    return 'yes' if row['agrees'] else 'NO'


RATES = {
    'copy_bytes_per_second': ('copy', 1e12, 'TB/s'),
    'float32_flops_per_second': ('float32', 1e12, 'TFLOP/s'),
    'tf32_flops_per_second': ('tf32', 1e12, 'TFLOP/s'),
    'bfloat16_flops_per_second': ('bfloat16', 1e12, 'TFLOP/s'),
    'triplets_per_second': ('triplets', 1e6, 'million/s'),
}


def _notes(row: Row) -> str:
    return _joined(_rates(row) + _remarks(row))


def _rates(row: Row) -> list[str]:
    return [
        f'{name} {row[key] / unit:.3g} {text}'
        for key, (name, unit, text) in RATES.items()
        if key in row
    ]


def _remarks(row: Row) -> list[str]:
    notes: list[str] = []
    if 'outcome' in row:
        notes += [row['outcome'], *row['tests']]
    if row['state'] != 'done':
        notes.append(f'{row["state"]}: {row.get("why", "")}')
    return notes + row.get('warnings', [])


def _joined(notes: list[str]) -> str:
    return '; '.join(notes).replace('|', '/').replace('\n', ' ')[:200]


def _recall(row: Row) -> str:
    return f'{row["recall@20"]:.4f}' if 'recall@20' in row else ''


COLUMNS: Columns = {
    'case': lambda row: row['case'],
    'implementation': lambda row: row['impl'],
    'agrees': _agrees,
    'time': lambda row: _ms(row.get('seconds')),
    'goal': lambda row: _ms(find_goal(row)),
    'forward': lambda row: _ms(row.get('forward_seconds')),
    'floor': _floor,
    'floor / time': lambda row: _share(row.get('of_floor')),
    'kernels': lambda row: str(row.get('kernels', '')),
    'busy': lambda row: _ms(row.get('busy_seconds')),
    'extra memory': _memory,
    'error': _error,
    'Recall@20': _recall,
    'notes': _notes,
}
DRY_COLUMNS: Columns = {
    'case': lambda row: row['case'],
    'implementation': lambda row: row['impl'],
    'state': lambda row: row['state'],
    'agrees': _agrees,
    'notes': lambda row: _joined(_remarks(row)),
}
