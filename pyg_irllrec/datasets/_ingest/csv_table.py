from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa
import pyarrow.csv

from pyg_irllrec.datasets._ingest.read_errors import check_file, read_errors

_BLOCK_BYTES = 16 << 20


class CsvTable:
    r"""A CSV file. Every column is read as strings, and an empty cell as null: a type
    that is guessed from the first rows can fail in later ones."""

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
                f"'encoding' must be an encoding of Python, such as 'utf-8' or "
                f"'latin-1', got {encoding!r}"
            ) from None
        self.path = check_file(path)
        self.name = str(path)
        self._first_line = 2 if column_names is None else 1
        # Without threads, Arrow reports the line of a malformed row, at the same speed.
        self._read = pa.csv.ReadOptions(
            use_threads=False,
            block_size=_BLOCK_BYTES,
            encoding=encoding,
            column_names=None if column_names is None else list(column_names),
        )
        # Texts can hold line breaks.
        self._parse = pa.csv.ParseOptions(
            delimiter=sep, quote_char=quote or False, newlines_in_values=True
        )

    def columns(self) -> list[str]:
        with read_errors(self.name, 'a table of separated values'):
            names: list[str] = self._open().schema.names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with read_errors(self.name, 'a table of separated values'):
            self._check_quotes()
            yield from self._open(columns)

    def location(self, row: int) -> str:
        return f'line {row + self._first_line}'

    def _check_quotes(self) -> None:
        r"""Raises a :class:`ValueError` for a quote that is never closed: Arrow would
        read the rest of the file as one cell. Only files with an odd number of quotes
        have to be parsed."""
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
                        '(pass quote=None if the file uses no quotes)'
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
