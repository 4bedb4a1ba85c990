r"""Recommendations for many users as a file, written part by part."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from pyg_irllrec.serving._arrow_table import arrow_schema, to_arrow
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.recommendations import Recommendations
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.optional import import_optional
from pyg_irllrec.utils.spreadsheet_cell import spreadsheet_cell

COLUMNS = ('user', 'rank', 'item', 'title', 'score')
_GROUP_ROWS = 100_000  # Small row groups of Parquet are slow to read.

Write = Callable[[Iterable[Recommendations]], None]


def table_writer(path: PathLike, users: Nodes, items: Nodes) -> Write:
    r"""Return a function that writes parts of recommendations to a file, in the format
    of its ending. The write is atomic, and only one part is in memory at a time.

    Raises:
        ValueError: If the file has another ending.
        ImportError: If the format is Parquet and pyarrow is not installed.
    """
    file = as_path('path', path)
    if file.is_dir():
        raise ValueError(f"'path' must be a file, got the folder {file}")
    ending = file.suffix.lower()
    if ending == '.csv':
        return partial(_write_text, file, _csv_lines)
    if ending == '.jsonl':
        return partial(_write_text, file, _json_lines)
    if ending == '.parquet':
        import_optional('pyarrow.parquet', 'write_recommendations()', 'data')
        return partial(_write_parquet, file, users, items)
    raise ValueError(f"'path' must end in .csv, .jsonl or .parquet, got {str(path)!r}")


def _write_text(
    path: Path,
    lines: Callable[[IO[str], Iterable[Recommendations]], None],
    parts: Iterable[Recommendations],
) -> None:
    with atomic_write(path) as file:
        lines(file, parts)


def _csv_lines(file: IO[str], parts: Iterable[Recommendations]) -> None:
    # All texts are quoted, because an id may contain a line break.
    table = csv.writer(file, lineterminator='\n', quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(COLUMNS)
    for part in parts:
        columns = part.to_columns()
        for name in ('user', 'item', 'title'):
            columns[name] = list(map(spreadsheet_cell, columns[name]))
        columns['score'] = list(map(_short, columns['score']))
        table.writerows(zip(*(columns[name] for name in COLUMNS)))


def _json_lines(file: IO[str], parts: Iterable[Recommendations]) -> None:
    for part in parts:
        for row in part.to_dicts():
            for each in row['items']:
                each['score'] = _short(each['score'])
            file.write(json.dumps(row, ensure_ascii=False) + '\n')


def _write_parquet(
    path: Path, users: Nodes, items: Nodes, parts: Iterable[Recommendations]
) -> None:
    pyarrow = import_optional('pyarrow', 'write_recommendations()', 'data')
    parquet = import_optional('pyarrow.parquet', 'write_recommendations()', 'data')
    schema = arrow_schema(pyarrow, users.ids, items.ids)
    with atomic_write(path, 'wb') as file, parquet.ParquetWriter(file, schema) as table:
        for columns in _groups(parts):
            table.write_table(to_arrow(pyarrow, columns, schema))


def _groups(parts: Iterable[Recommendations]) -> Iterator[dict[str, list[Any]]]:
    group: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for part in parts:
        for name, column in part.to_columns().items():
            group[name].extend(column)
        if len(group['user']) >= _GROUP_ROWS:
            yield group
            group = {name: [] for name in COLUMNS}
    yield group


def _short(score: float) -> float:
    r"""Round a score to the precision of float32."""
    return float(f'{score:.7g}')
