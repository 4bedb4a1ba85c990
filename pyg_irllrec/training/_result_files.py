r"""The results that :func:`~pyg_irllrec.training.fit` measures and writes."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Optional

import torch

from pyg_irllrec.training.fit_result import FitResult
from pyg_irllrec.utils.files import atomic_write


def best_epoch(history: list[dict[str, float]], metric: str) -> int:
    r"""Return the epoch with the best value, or the last epoch if there are no
    values."""
    rows = [row for row in history if metric in row] or history[-1:]
    return int(max(rows, key=lambda row: row.get(metric, 0.0))['epoch'])


def write_history(history: list[dict[str, float]], out: Path) -> None:
    fields = list(dict.fromkeys(name for row in history for name in row))
    with atomic_write(out / 'history.csv') as file:
        writer = csv.DictWriter(file, fields, lineterminator='\n')
        writer.writeheader()
        writer.writerows(history)


def write_result(result: FitResult, out: Path) -> None:
    write_history(result.history, out)
    with atomic_write(out / 'metrics.json') as file:
        values = result._asdict()
        del values['history']
        json.dump(values, file, indent=2)
        file.write('\n')


def recorded_cost(out: Path) -> Optional[tuple[float, float]]:
    r"""Return the time of a step and the peak memory that an earlier process
    recorded."""
    try:
        metrics = json.loads((out / 'metrics.json').read_text(encoding='utf-8'))
        return float(metrics['seconds_per_step']), float(metrics['peak_memory_mb'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def peak_memory_mb(device: torch.device) -> float:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # On Windows.
        return 0.0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == 'darwin' else peak / 2**10
