from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

from pyg_irllrec.datasets._ingest.build_plan import (
    BuildPlan,
    Fingerprint,
    build_if_missing,
    check_duplicates,
)
from pyg_irllrec.datasets._ingest.file_source import FileSource
from pyg_irllrec.datasets._ingest.folder_source import FolderSource
from pyg_irllrec.datasets._ingest.frame_source import FrameSource
from pyg_irllrec.datasets._ingest.frame_table import FrameTable
from pyg_irllrec.datasets._ingest.node_texts import TextColumns
from pyg_irllrec.datasets._ingest.open_frame import open_frame
from pyg_irllrec.datasets._ingest.open_table import open_table
from pyg_irllrec.datasets._ingest.parquet_folder import ParquetFolder
from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns
from pyg_irllrec.datasets._ingest.source import Source
from pyg_irllrec.datasets._ingest.stream_table import StreamTable
from pyg_irllrec.datasets._ingest.table import Table
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import is_iterable
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.files import nearest_folder
from pyg_irllrec.utils.time_units import UNITS


class InputTables:
    r"""The tables of an :class:`~pyg_irllrec.datasets.InteractionDataset` in
    :obj:`root`, and the columns to read from them."""

    def __init__(
        self,
        root: PathLike,
        user: str,
        item: str,
        rating: Optional[str],
        timestamp: Optional[str],
        duplicates: str,
        time_unit: str,
        sep: Optional[str] = None,
        encoding: str = 'utf-8',
        quote: Optional[str] = '"',
    ) -> None:
        check_duplicates(duplicates, rating)
        check_choice('time_unit', time_unit, ('auto', *UNITS))
        if user == item:
            raise ValueError(
                f"'user' and 'item' must name two columns, got {user!r} for both"
            )
        self.root = Path(root).expanduser()
        self.columns = InteractionColumns(user, item, rating, timestamp)
        for argument, name in self.columns._asdict().items():
            if name is not None or argument in ('user', 'item'):
                _check_name(argument, name)
        self.duplicates = duplicates
        self.time_unit = time_unit
        self.tables: list[Table] = []
        self.texts: dict[str, TextColumns] = {}
        self.titles: dict[str, TextColumns] = {}
        self.sources: list[Source] = []
        self._sep, self._encoding, self._quote = sep, encoding, quote

    def add(self, table: Table) -> None:
        r"""Add a table of interactions."""
        self.tables.append(table)
        names = [name for name in self.columns if name is not None]
        self.sources.append(_source(table, names))

    def add_frame(self, frame: Any) -> None:
        r"""Add a table of interactions that is not in a file."""
        names = [name for name in self.columns if name is not None]
        folder = nearest_folder(self.root)
        self.add(open_frame(frame, "'frame'", names, folder=folder))

    def add_texts(
        self,
        side: str,
        texts: Any,
        id_name: Optional[str],
        text_names: Union[str, Sequence[str], None],
        title_name: Optional[str] = None,
    ) -> None:
        r"""Add the table of texts of a side, unless it is :obj:`None`."""
        names = as_names(f'{side}_text', text_names)
        for argument, name in (('id', id_name), ('title', title_name)):
            if name is not None:
                _check_name(f'{side}_{argument}', name)
        titles = [] if title_name is None else [title_name]
        if texts is None:
            given = {'text': names, 'title': titles, 'id': id_name}
            for argument, value in given.items():
                if value not in ([], None):
                    raise ValueError(
                        f"'{side}s' must be a table if '{side}_{argument}' is given, "
                        'got None'
                    )
            return
        if not names and not titles:
            raise ValueError(
                f"'{side}_text' must name at least one column of '{side}s', got none"
            )
        id_name = getattr(self.columns, side) if id_name is None else id_name
        only_texts = [name for name in (*names, *titles) if name != id_name]
        if not isinstance(texts, (str, os.PathLike)):
            read = [id_name, *names, *titles]
            folder = nearest_folder(self.root)
            table = open_frame(texts, f"'{side}s'", read, only_texts, folder)
        else:
            form = self._sep, self._encoding, self._quote
            table = open_table(Path(texts), *form, only_texts)
        for kept, columns in ((self.texts, names), (self.titles, titles)):
            if columns:
                kept[side] = TextColumns(table, id_name, columns)
        self.sources.append(_source(table, [id_name, *names, *titles]))

    def build(self, options: dict[str, Any], rebuild: bool) -> None:
        r"""Write :obj:`root/processed` unless the same dataset is already there.

        Args:
            options (dict): The options for reading the tables.
            rebuild (bool): Whether to read the tables again, and replace an existing
                dataset.
        """
        options = {
            **options,
            **self.columns._asdict(),
            **{
                f'{side}_id': texts.id
                for side, texts in (*self.texts.items(), *self.titles.items())
            },
            **{f'{side}_text': texts.text for side, texts in self.texts.items()},
            **{f'{side}_title': texts.text[0] for side, texts in self.titles.items()},
            'duplicates': self.duplicates,
            'time_unit': self.time_unit,
        }
        build_if_missing(
            self.root / 'processed',
            Fingerprint(self.sources, options),
            lambda: BuildPlan(
                self.tables,
                self.columns,
                self.texts,
                self.duplicates,
                self.time_unit,
                self.titles,
            ),
            rebuild,
        )


def _source(table: Table, columns: Sequence[str]) -> Source:
    if isinstance(table, (FrameTable, StreamTable)):
        return FrameSource(table, columns)
    if isinstance(table, ParquetFolder):
        return FolderSource(table.path, table.paths)
    return FileSource(Path(table.name))


def as_names(argument: str, names: Union[str, Sequence[str], None]) -> list[str]:
    r"""Return column names as a list, given a list, one name or none."""
    if names is None or isinstance(names, str):
        return [] if names is None else [names]
    if not is_iterable(names):
        raise ValueError(
            f"'{argument}' must be a column name or a list of them, got {names!r}"
        )
    names = list(names)
    for name in names:
        _check_name(argument, name)
    return names


def _check_name(argument: str, name: object) -> None:
    # A pandas.DataFrame may have numbered columns, which Arrow cannot read.
    if not isinstance(name, str):
        raise ValueError(
            f"'{argument}' must be the name of a column, a str, got {name!r}"
        )
