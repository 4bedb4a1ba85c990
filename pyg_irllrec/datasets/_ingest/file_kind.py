from __future__ import annotations

from pathlib import Path

from pyg_irllrec.typing import PathLike

_COMPRESSED = ('.gz', '.bz2', '.zst')
_JSON_LINES = ('.jsonl', '.ndjson', '.json')


def file_kind(path: PathLike) -> str:
    r"""Return the format of a file, by its name: :obj:`"parquet"` (also for a folder),
    :obj:`"json_lines"` or :obj:`"csv"`."""
    if Path(path).expanduser().is_dir():
        return 'parquet'
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ''
    if last in ('.parquet', '.pq'):
        return 'parquet'
    return 'json_lines' if last in _JSON_LINES else 'csv'
