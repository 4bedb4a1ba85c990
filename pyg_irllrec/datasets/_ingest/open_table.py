from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from pyg_irllrec.datasets._ingest.csv_table import CsvTable
from pyg_irllrec.datasets._ingest.file_kind import file_kind
from pyg_irllrec.datasets._ingest.json_lines_table import JsonLinesTable
from pyg_irllrec.datasets._ingest.parquet_folder import ParquetFolder
from pyg_irllrec.datasets._ingest.parquet_table import ParquetTable
from pyg_irllrec.datasets._ingest.table import Table


def open_table(
    path: Path,
    sep: Optional[str] = None,
    encoding: str = 'utf-8',
    quote: Optional[str] = '"',
    texts: Sequence[str] = (),
) -> Table:
    r"""Open a file, in the format that its name implies, or a folder of Parquet files.

    Args:
        path (Path): The file or folder.
        sep (str, optional): The separator of a CSV file. (default: :obj:`None`, by the
            name of the file)
        encoding (str): The encoding of CSV and JSON lines. (default: :obj:`"utf-8"`)
        quote (str, optional): The quote of a CSV file. (default: :obj:`'"'`)
        texts (sequence of str): The columns that hold texts. (default: :obj:`()`)
    """
    kind = file_kind(path)
    if kind == 'parquet':
        return open_parquet(path)
    if kind == 'json_lines':
        return JsonLinesTable(path, encoding, texts)
    return CsvTable(path, sep, encoding, quote)


def open_parquet(path: Path) -> Table:
    r"""Open a Parquet file, or all Parquet files of a folder."""
    is_folder = path.expanduser().is_dir()
    return ParquetFolder(path) if is_folder else ParquetTable(path)
