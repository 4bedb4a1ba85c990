"""The tables of benchmarks.distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.cost_model import Setting, cost

Row = dict[str, Any]

UNITS = {'memory': 'B', 'sent': 'B', 'flops': 'FLOP'}
LARGEST = Setting(1e8, 5e8, 32, 3, 4096, 1536, 64)
"""The size of the prediction: 10^8 nodes on 64 GPUs."""


def model_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The counts of a rank at each size, and the largest error of the model."""
    head = ['nodes', 'processes', 'contrast', *UNITS, 'largest error of the model']
    lines = []
    for setting in dict.fromkeys(map(_setting, rows)):
        own = [row for row in rows if _setting(row) == setting]
        sums = [
            _amount(sum(row['counted'] for row in own if row['kind'] == kind), unit)
            for kind, unit in UNITS.items()
        ]
        off = max(abs(row['ratio'] - 1) for row in own)
        lines.append([*setting, *sums, f'{off:.1%}'])
    return head, lines


def _setting(row: Row) -> tuple[str, ...]:
    contrast = 'all, moments' if row['negatives'] == 'all' else 'batch, ring'
    return f'{row["nodes"]:,}', str(row['processes']), contrast


def large_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The time and memory of a few processes on many nodes."""
    head = [
        'nodes',
        'interactions',
        'time to build',
        'time per step',
        'CPU time per process and step',
        'peak memory of a process in a step',
        'predicted, without imports',
        'peak memory of all processes, building included',
        'sent per process and step',
        'predicted',
    ]
    lines = [
        [
            f'{row["nodes"]:,}',
            f'{row["edges"]:,}',
            f'{row["build_seconds"]:.0f} s',
            f'{row["seconds"]:.1f} s',
            f'{row["cpu_seconds"]:.1f} s',
            f'{row["step_peak_mb"] / 1024:.1f} GB',
            f'{row["model_memory_mb"] / 1024:.1f} GB',
            f'{row["peak_mb_of_all_processes"] / 1024:.1f} GB',
            f'{row["sent"] / 1e6:,.0f} MB',
            f'{row["model_sent"] / 1e6:,.0f} MB',
        ]
        for row in rows
    ]
    return head, lines


def scaling_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The CPU seconds and bytes of a process, compared with a single process."""
    head = [
        'scaling',
        'processes',
        'nodes',
        'CPU time per process and step',
        'x one process',
        'sent per process',
        'halo rows per own row',
    ]
    first: dict[str, float] = {}
    lines = []
    for row in rows:
        base = first.setdefault(row['case'], row['cpu_seconds'])
        lines.append(
            [
                row['case'],
                str(row['processes']),
                f'{row["nodes"]:,}',
                f'{row["cpu_seconds"]:.2f} s',
                f'{row["cpu_seconds"] / base:.2f}',
                f'{row["sent"] / 1e6:.1f} MB',
                f'{row["halo_rows"] / row["own_rows"]:.2f}',
            ]
        )
    return head, lines


def prediction_table() -> tuple[list[str], list[list[str]]]:
    """Every term of the model at the largest size."""
    owners = {'random owners': None, 'a fifth of interactions cross': 0.2}
    costs = [cost(LARGEST._replace(crossing=share)) for share in owners.values()]
    lines = []
    for kind, unit in UNITS.items():
        terms = [getattr(each, kind) for each in costs]
        for term in terms[0]:
            lines.append(
                [f'{kind}: {term}', *(_amount(each[term], unit) for each in terms)]
            )
        sums = (f'**{_amount(sum(each.values()), unit)}**' for each in terms)
        lines.append([f'**{kind}**', *sums])
    return ['per GPU and step', *owners], lines


def _amount(value: float, unit: str) -> str:
    """A value with a suitable SI prefix."""
    for prefix, size in (('G', 1e9), ('M', 1e6), ('k', 1e3)):
        if value >= size:
            return f'{value / size:.3g} {prefix}{unit}'
    return f'{value:.3g} {unit}'
