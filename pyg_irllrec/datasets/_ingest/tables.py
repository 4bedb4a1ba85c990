"""Tables that are read batch by batch, of which only some columns are looked at."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from torch import Tensor

_BLOCK_BYTES = 16 << 20
_BATCH_ROWS = 1 << 18


class Table(Protocol):
    r"""What interactions and texts are read from."""

    name: str
    """What an error calls it."""
    typed: bool
    """Whether numbers are known from strings: in CSV files they are not."""

    def columns(self) -> list[str]:
        r"""The names of all columns."""

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        r"""Record batches of these columns, in the order of the rows."""

    def location(self, row: int) -> str:
        r"""Where an error says that this row is, of rows counted from zero."""


class CsvTable:
    r"""A CSV file, every column of which is read as strings; an empty cell is null.
    Types are for the reader of a column to find out: guessed from the first rows,
    they would fail in later ones."""

    typed = False

    def __init__(
        self,
        path: Path,
        sep: str = ',',
        encoding: str = 'utf-8',
        quote: Optional[str] = '"',
        column_names: Optional[Sequence[str]] = None,
    ) -> None:
        for argument, value in (('sep', sep), ('quote', quote)):
            if value is not None and len(value) != 1:
                raise ValueError(f"'{argument}' must be one character, got {value!r}")
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(
                f"'encoding' must be one that Python knows, such as 'utf-8' or "
                f"'latin-1', got {encoding!r}"
            ) from None
        self.path = check_file(path)
        self.name = str(path)
        self._first_line = 2 if column_names is None else 1
        # Without threads Arrow knows where a malformed row is, and is as fast.
        self._read = pa.csv.ReadOptions(
            use_threads=False,
            block_size=_BLOCK_BYTES,
            encoding=encoding,
            column_names=None if column_names is None else list(column_names),
        )
        # Texts have line breaks in them; a quote of None is not a quote.
        self._parse = pa.csv.ParseOptions(
            delimiter=sep, quote_char=quote or False, newlines_in_values=True
        )

    def columns(self) -> list[str]:
        with _refusing(self.name, 'a table of separated values'):
            names: list[str] = self._open().schema.names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with _refusing(self.name, 'a table of separated values'):
            self._check_quotes()
            yield from self._open(columns)

    def location(self, row: int) -> str:
        return f'line {row + self._first_line}'

    def _check_quotes(self) -> None:
        r"""Arrow takes a quote that is never closed for one cell with all the rest of
        the file in it. Only a file with an odd number of quotes has to be parsed."""
        quote = self._parse.quote_char
        if not quote:
            return
        with self._text() as text:
            count = sum(
                block.count(quote) for block in iter(lambda: text.read(1 << 20), '')
            )
        if count % 2 == 0:
            return
        csv.field_size_limit(2**31 - 1)
        with self._text() as text:
            reader = csv.reader(
                text, delimiter=self._parse.delimiter, quotechar=quote, strict=True
            )
            line = 1
            try:
                for _ in reader:
                    line = reader.line_num + 1
            except csv.Error as error:
                if 'unexpected end of data' in str(error):
                    raise ValueError(
                        f'{self.name} has a quote in line {line} that is never closed '
                        '(pass quote=None if quotes mean nothing in it)'
                    ) from None

    def _text(self) -> io.TextIOWrapper:
        stream = pa.input_stream(self.path, compression='detect')
        encoding = self._read.encoding
        return io.TextIOWrapper(stream, encoding, errors='replace', newline='')

    def _open(self, columns: Sequence[str] = ()) -> Any:
        convert = pa.csv.ConvertOptions(
            include_columns=columns,
            column_types={name: pa.large_string() for name in columns},
            strings_can_be_null=True,
            null_values=[''],
        )
        if self.path.stat().st_size == 0:
            raise ValueError(f'{self.name} is empty')
        return pa.csv.open_csv(self.path, self._read, self._parse, convert)


class ParquetTable:
    r"""A Parquet file."""

    typed = True

    def __init__(self, path: Path) -> None:
        self.path = check_file(path)
        self.name = str(path)

    def columns(self) -> list[str]:
        with _refusing(self.name, 'a Parquet file'):
            names: list[str] = pa.parquet.read_schema(self.path).names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with _refusing(self.name, 'a Parquet file'):
            with pa.parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))

    def location(self, row: int) -> str:
        return f'row {row}'


class FrameTable:
    r"""A :class:`pandas.DataFrame`, or a mapping from names to columns."""

    def __init__(self, frame: Any, name: str, typed: bool = True) -> None:
        if not hasattr(frame, 'keys'):
            raise ValueError(
                f'{name} must be a pandas.DataFrame or map names to columns, got '
                f'{type(frame).__name__}'
            )
        self.frame = frame
        self.name = name
        self.typed = typed

    def columns(self) -> list[str]:
        return list(self.frame)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        # Column by column, so that the type of a column does not depend on batches.
        arrays = [_to_array(self.frame[name]) for name in columns]
        table = pa.table(arrays, names=list(columns))
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)

    def location(self, row: int) -> str:
        return f'row {row}'


def check_columns(table: Table, wanted: Sequence[str]) -> None:
    r"""Raises a :class:`ValueError` for a column that is not there, or twice."""
    there = table.columns()
    for name in wanted:
        if there.count(name) != 1:
            what = 'no' if name not in there else 'more than one'
            names = ', '.join(map(repr, there))
            raise ValueError(f'{table.name} has {what} column {name!r}: it has {names}')


def check_file(path: Path) -> Path:
    r"""Raises a :class:`FileNotFoundError` unless :obj:`path` is a file."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if not path.is_file():
        raise ValueError(f'{path} must be a file, got a folder: name the files in it')
    return path


def _to_array(column: Any) -> Any:
    if isinstance(column, Tensor):
        column = column.cpu().numpy()
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # Values of several types.
        import pandas as pd

        return pa.array(pd.Series(column).map(str, na_action='ignore'))


@contextmanager
def _refusing(name: str, kind: str) -> Iterator[None]:
    r"""Says in one line which file Arrow could not read."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        reason = ' '.join(str(error).replace('Row #', 'line ').split())[:200]
        if 'invalid UTF8' in reason:
            reason += " (pass the 'encoding' of the file)"
        raise ValueError(f'{name} is not {kind}, or it is damaged: {reason}') from None
