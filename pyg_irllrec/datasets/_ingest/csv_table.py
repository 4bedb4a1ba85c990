from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa
import pyarrow.csv

from pyg_irllrec.datasets._ingest.file_kind import file_separator
from pyg_irllrec.datasets._ingest.read_errors import check_file, read_errors
from pyg_irllrec.datasets._ingest.text_stream import (
    check_content,
    check_encoding,
    open_text,
)

_BLOCK_BYTES = 16 << 20
_MAX_HEADER = 1 << 16
_KIND = 'a table of separated values'


class CsvTable:
    r"""A CSV file. Every column is read as strings, and empty cells as null: a type
    guessed from the first rows can fail in later rows."""

    def __init__(
        self,
        path: Path,
        sep: Optional[str] = None,
        encoding: str = 'utf-8',
        quote: Optional[str] = '"',
        column_names: Optional[Sequence[str]] = None,
    ) -> None:
        sep = file_separator(path) if sep is None else sep
        _check_characters(sep, quote)
        check_encoding(encoding)
        self.path = check_file(path)
        self.name = str(path)
        with read_errors(self.name, _KIND, encoding):
            check_content(self.path, encoding)
            with open_text(self.path, encoding, 'replace') as text:
                first_line = text.readline(_MAX_HEADER)
                skipped = _num_separator_lines(first_line, sep, self.name)
                if skipped:
                    first_line = text.readline(_MAX_HEADER)
        if column_names is None and first_line.lstrip().startswith(('{', '[')):
            raise ValueError(
                f'{self.name} holds JSON instead of a header: read JSON lines with '
                'from_json_lines'
            )
        if column_names is not None:
            _check_no_header(first_line, sep, quote, column_names, self.name)
        self._hint = _other_separator(first_line, sep)
        self._first_line = (2 if column_names is None else 1) + skipped
        # Without threads, Arrow reports the line of a malformed row, at the same speed.
        self._read = pa.csv.ReadOptions(
            use_threads=False,
            block_size=_BLOCK_BYTES,
            encoding=encoding,
            skip_rows=skipped,
            column_names=None if column_names is None else list(column_names),
        )
        # Texts can contain line breaks.
        self._parse = pa.csv.ParseOptions(
            delimiter=sep, quote_char=quote or False, newlines_in_values=True
        )

    def columns(self) -> list[str]:
        with self._errors():
            names: list[str] = self._open().schema.names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with self._errors():
            self._check_quotes()
            yield from self._open(columns)

    def location(self, row: int) -> str:
        return f'line {row + self._first_line}'

    @contextmanager
    def _errors(self) -> Iterator[None]:
        r"""Turn errors of Arrow into a :class:`ValueError`, with a hint if the first
        line has another separator."""
        try:
            with read_errors(self.name, _KIND, self._read.encoding):
                yield
        except ValueError as error:
            raise ValueError(f'{error}{self._hint}') from None

    def _check_quotes(self) -> None:
        r"""Raise a :class:`ValueError` for a quote that is never closed: Arrow would
        read the rest of the file as one cell. Only files with an odd number of quotes
        are parsed for this check."""
        quote = self._parse.quote_char
        if not quote:
            return
        path, encoding = self.path, self._read.encoding
        with open_text(path, encoding, 'replace') as text:
            count = sum(
                block.count(quote) for block in iter(lambda: text.read(1 << 20), '')
            )
        if count % 2 == 0:
            return
        csv.field_size_limit(2**31 - 1)
        with open_text(path, encoding, 'replace') as text:
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


def _check_characters(sep: str, quote: Optional[str]) -> None:
    for argument, value in (('sep', sep), ('quote', quote)):
        if value is None and argument == 'quote':
            continue
        if value == r'\t':
            raise ValueError(rf"'{argument}' must be a tab, '\t', got r'\t'")
        if not isinstance(value, str) or len(value) != 1:
            raise ValueError(f"'{argument}' must be one character, got {value!r}")
        if not value.isascii() or value in '\0\r\n':
            raise ValueError(
                f"'{argument}' must be an ASCII character other than a line break, got "
                f'{value!r}'
            )
    if sep == quote:
        raise ValueError(f"'sep' and 'quote' must differ, got {sep!r} for both")


def _num_separator_lines(line: str, sep: str, name: str) -> int:
    r"""Return 1 if the first line names the separator, as spreadsheets write it, else
    0."""
    named = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE)
    if named is None:
        return 0
    if named[1] != sep:
        raise ValueError(
            f"'sep' must be {named[1]!r}, as in the first line of {name}, got {sep!r}"
        )
    return 1


def _other_separator(line: str, sep: str) -> str:
    r"""A hint if the first line has only another separator, otherwise :obj:`""`."""
    found = [other for other in ('\t', ';', '|', ',') if other in line]
    if not found or sep in line:
        return ''
    return f" (its first line has {found[0]!r} and no {sep!r}: pass 'sep')"


def _check_no_header(
    line: str, sep: str, quote: Optional[str], names: Sequence[str], name: str
) -> None:
    r"""Raise a :class:`ValueError` if the file has a header with the given names, which
    would be read as an interaction."""
    cells = [cell.strip().strip(quote or '') for cell in line.split(sep)]
    if [*map(str.casefold, cells)] == [str(each).strip().casefold() for each in names]:
        raise ValueError(
            f"{name} has a header that equals 'column_names': leave 'column_names' out"
        )
