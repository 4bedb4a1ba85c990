"""One table of interactions, read in each of the seven ways."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet

from pyg_irllrec.datasets.interaction_dataset import InteractionDataset

DOORS = ('csv', 'parquet', 'pandas', 'polars', 'arrow', 'stream', 'json_lines')
Columns = dict[str, list[Any]]


def read_by(
    door: str,
    folder: Path,
    table: Columns,
    items: Columns | None = None,
    **options: Any,
) -> InteractionDataset:
    """Write a table, and a table of items, in one way, and read the dataset."""
    folder = folder / door
    folder.mkdir(parents=True)
    options = {'user': 'who', 'item': 'what', **options}
    source = _write(door, folder / 'interactions', table)
    if items is not None:
        options = {**options, 'items': _write(door, folder / 'items', items)}
    files = {
        'csv': InteractionDataset.from_csv,
        'parquet': InteractionDataset.from_parquet,
        'json_lines': InteractionDataset.from_json_lines,
    }
    read = files.get(door, InteractionDataset.from_frame)
    return read(source, folder / 'root', **options)


def _write(door: str, path: Path, table: Columns) -> Any:
    if door == 'pandas':
        return pd.DataFrame(table)
    if door == 'polars':
        return pl.DataFrame(table, strict=False)
    if door == 'arrow':
        return _arrow(table)
    if door == 'stream':
        return _arrow(table).to_reader(max_chunksize=1)
    if door == 'parquet':
        pa.parquet.write_table(_arrow(table), f'{path}.parquet')
        return path.with_suffix('.parquet')
    rows = list(zip(*table.values()))
    if door == 'csv':
        with open(path.with_suffix('.csv'), 'w', encoding='utf-8', newline='') as file:
            csv.writer(file).writerows([table, *map(_plain, rows)])
        return path.with_suffix('.csv')
    lines = [json.dumps(dict(zip(table, _plain(row)))) for row in rows]
    path.with_suffix('.jsonl').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    return path.with_suffix('.jsonl')


def _arrow(table: Columns) -> Any:
    unsigned = pa.uint64()
    return pa.table(
        {
            name: pa.array(column, unsigned if _is_unsigned(column) else None)
            for name, column in table.items()
        }
    )


def _is_unsigned(column: list[Any]) -> bool:
    return all(isinstance(value, int) and value >= 2**63 for value in column)


def _plain(row: Any) -> list[Any]:
    return [
        value.isoformat() if isinstance(value, datetime) else value for value in row
    ]


def content(dataset: InteractionDataset) -> dict[str, Any]:
    """The content of a dataset, in a form to compare."""
    data = dataset[0]
    rates = data['user', 'rates', 'item']
    return {
        'user': list(dataset.user_ids),
        'item': list(dataset.item_ids),
        'edge_index': rates.edge_index.tolist(),
        'rating': rates['rating'].tolist() if 'rating' in rates else None,
        'time': rates['time'].tolist() if 'time' in rates else None,
        'text': list(data['item'].text) if 'text' in data['item'] else None,
        'unit': dataset.time_unit,
        'counts': dataset.counts,
    }
