"""Download and read the raw files of published datasets."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from torch_geometric.data import download_url, extract_zip

_MAX_TAGS = 10


def find_folder(root: Path, files: Sequence[str]) -> Path:
    r"""Return the folder with most of the files, :obj:`root/raw` or :obj:`root`."""
    folders = (root / 'raw', root)
    return max(folders, key=lambda path: sum((path / file).is_file() for file in files))


def download_zip(url: str, folder: Path, files: Sequence[str]) -> None:
    r"""Download an archive, and put some of its files into a folder.

    Raises:
        FileNotFoundError: If the files cannot be downloaded.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            extract_zip(download_url(url, part), part)
            for file in files:
                (found,) = Path(part).rglob(file)
                os.replace(found, folder / file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FileNotFoundError(
            f'{folder} lacks {", ".join(files)}, and they could not be downloaded '
            f'({error}): put the files of {url} there'
        ) from error


def read_lines(path: Path) -> list[str]:
    r"""Return the lines of a file, decoded as UTF-8 or, if that fails, as Latin-1."""
    raw = path.read_bytes()
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError:
        text = raw.decode('latin-1')
    return text.replace('\r\n', '\n').strip('\n').split('\n')


def read_fields(path: Path, sep: str, num_fields: int) -> Iterator[list[str]]:
    r"""The fields of each line that is not empty.

    Raises:
        ValueError: If a line has a different number of fields.
    """
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split(sep)
        if line and len(fields) != num_fields:
            raise ValueError(
                f'{path}, line {number}: expected {num_fields} fields separated by '
                f'{sep!r}, got {len(fields)}'
            )
        if line:
            yield fields


def read_csv(path: Path, names: Sequence[str]) -> Iterator[list[str]]:
    r"""Some cells of each row of a CSV file with a header.

    Raises:
        ValueError: If a column is missing.
    """
    from pyg_irllrec.datasets._ingest.csv_table import CsvTable
    from pyg_irllrec.datasets._ingest.table import check_columns

    table = CsvTable(path)
    check_columns(table, names)
    for batch in table.batches(names):
        for row in zip(*(batch[name].to_pylist() for name in names)):
            yield [cell or '' for cell in row]


def frequent_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    r"""Join the tags of each item, given pairs of item and tag, into one text: at most
    ten, the most frequent first, in lower case."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for item, tag in pairs:
        counts[item][tag.strip().lower()] += 1
    out = {}
    for item, count in counts.items():
        order = sorted(count, key=lambda tag: (-count[tag], tag))
        out[item] = ', '.join(order[:_MAX_TAGS])
    return out
