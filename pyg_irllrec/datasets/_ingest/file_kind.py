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
    suffix = _suffix(path)
    if suffix in ('.parquet', '.pq'):
        return 'parquet'
    return 'json_lines' if suffix in _JSON_LINES else 'csv'


def file_separator(path: PathLike) -> str:
    r"""Return the separator of a table by the name of its file: a tab for
    :obj:`.tsv` and :obj:`.tab`, otherwise a comma."""
    return '\t' if _suffix(path) in ('.tsv', '.tab') else ','


def _suffix(path: PathLike) -> str:
    r"""The ending of a file name, without that of a compression."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ''
