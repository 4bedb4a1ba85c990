from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, is_iterable
from pyg_irllrec.utils.checks import is_number
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.optional import import_optional

Row = dict[str, float]


def learning_curves(
    history: Union[PathLike, Sequence[Mapping[str, float]]], path: PathLike
) -> None:
    r"""Plot the course of a training run and save it as a PNG file. The left panel
    shows the mean of each loss term per epoch, on a logarithmic scale. The right panel
    shows the validation metrics and marks the epoch with the best Recall. Without
    validation, there is only the left panel.

    Args:
        history (str, pathlib.Path or sequence of dict): The file :obj:`history.csv` of
            a run, or the attribute :obj:`history` of a
            :class:`~pyg_irllrec.training.FitResult`.
        path (str or pathlib.Path): The file to write. It is never written in part.

    Raises:
        FileNotFoundError: If the file :obj:`history` does not exist.
        ValueError: If :obj:`history` is not the history of a run.
        ImportError: If matplotlib is not installed.

    Example:
        >>> from pathlib import Path
        >>> from pyg_irllrec.plot import learning_curves
        >>> history = [
        ...     {'epoch': 1, 'loss': 2.1, 'recall@20': 0.11},
        ...     {'epoch': 2, 'loss': 1.4, 'recall@20': 0.18},
        ... ]
        >>> learning_curves(history, 'curves.png')
        >>> Path('curves.png').exists()
        True
    """
    path = as_path('path', path)
    rows = _read_history(history)
    figures = import_optional('matplotlib.figure', 'learning_curves', 'plot')
    names = list(dict.fromkeys(name for row in rows for name in row if name != 'epoch'))
    metrics = [name for name in names if '@' in name]
    terms = [name for name in names if '@' not in name]
    panels = [each for each in (terms, metrics) if each]
    figure = figures.Figure(figsize=(6.5 * len(panels), 5.5), layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for place, shown in zip(axes, panels, strict=True):
        _draw_lines(place, rows, shown)
    if terms:
        _label(axes[0], 'Loss terms, weighted')
    if metrics:
        _mark_best(axes[-1], rows, metrics)
        _label(axes[-1], 'Validation metrics')
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=150)
    with atomic_write(path, 'wb') as file:
        file.write(content.getvalue())


def _draw_lines(axes: Any, rows: list[Row], names: list[str]) -> None:
    values = [row[name] for row in rows for name in names if name in row]
    for name in names:
        found = [(row['epoch'], row[name]) for row in rows if name in row]
        axes.plot(*zip(*found), marker='.', label=name)
    if '@' not in names[0] and min(values) > 0:
        axes.set_yscale('log')  # Terms differ by orders of magnitude.


def _mark_best(axes: Any, rows: list[Row], metrics: list[str]) -> None:
    r"""Mark the epoch of the checkpoint :obj:`best.ckpt`."""
    recalls = [name for name in metrics if name.startswith('recall@')]
    if not recalls:
        return
    metric = max(recalls, key=lambda name: int(name.partition('@')[2]))
    best = max(rows, key=lambda row: row.get(metric, -1.0))
    text = f'best {metric}: {best[metric]:.4f}, epoch {best["epoch"]:g}'
    axes.axvline(best['epoch'], color='grey', linestyle='--', label=text)


def _label(axes: Any, title: str) -> None:
    axes.set(title=title, xlabel='epoch')
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    below = {'loc': 'upper center', 'bbox_to_anchor': (0.5, -0.12)}
    axes.legend(**below, ncols=3, frameon=False)


def _read_history(history: object) -> list[Row]:
    where, rows = "'history'", history
    if isinstance(history, (str, os.PathLike)):
        file = as_path('history', history)
        where, rows = str(file), _read_csv(file)
    elif not is_iterable(rows):
        raise ValueError(
            "'history' must be the path of a history.csv or the history of a "
            f'FitResult, got {type(history).__name__}'
        )
    found = [_read_row(row, where) for row in rows]
    if not any(len(row) > 1 for row in found):
        raise ValueError(f'{where} must have values of at least one epoch, got none')
    return found


def _read_csv(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist')
    try:
        text = file.read_text(encoding='utf-8')
        rows = list(csv.DictReader(io.StringIO(text), strict=True))
        return [
            {name: float(cell) for name, cell in row.items() if cell} for row in rows
        ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f'{file} is not the history.csv of a run: {error}') from None


def _read_row(row: object, where: str) -> Row:
    good = (
        isinstance(row, Mapping)
        and 'epoch' in row
        and all(
            isinstance(name, str) and is_number(value) and math.isfinite(value)
            for name, value in row.items()
        )
        and all(name.partition('@')[2].isdecimal() for name in row if '@' in str(name))
    )
    if not good:
        raise ValueError(
            f"{where} must have rows of finite numbers with the key 'epoch', got "
            f'{row!r:.200}'
        )
    assert isinstance(row, Mapping)
    return {str(name): float(value) for name, value in row.items()}
