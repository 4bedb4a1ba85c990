from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from pyg_irllrec.datasets._ingest.build_plan import (
    BuildPlan,
    Fingerprint,
    build_if_missing,
    check_duplicates,
)
from pyg_irllrec.datasets._ingest.node_texts import TextColumns
from pyg_irllrec.datasets._ingest.read_interactions import InteractionColumns
from pyg_irllrec.datasets._ingest.sources import FileSource, FrameSource, Source
from pyg_irllrec.datasets._ingest.tables import (
    CsvTable,
    FrameTable,
    ParquetTable,
    Table,
)


class InputTables:
    r"""The tables that a caller of
    :class:`~pyg_irllrec.datasets.InteractionDataset` names, and their columns."""

    def __init__(
        self,
        user: str,
        item: str,
        rating: Optional[str],
        timestamp: Optional[str],
        duplicates: str,
        open_csv: Callable[[Path], CsvTable] = CsvTable,
    ) -> None:
        check_duplicates(duplicates, rating)
        self.columns = InteractionColumns(user, item, rating, timestamp)
        self.duplicates = duplicates
        self.tables: list[Table] = []
        self.texts: dict[str, TextColumns] = {}
        self.sources: list[Source] = []
        self._open_csv = open_csv

    def add(self, table: Table) -> None:
        r"""Interactions."""
        self.tables.append(table)
        names = [name for name in self.columns if name is not None]
        self.sources.append(_source(table, names))

    def add_texts(
        self,
        side: str,
        given: Any,
        id_name: Optional[str],
        text_names: Union[str, Sequence[str], None],
    ) -> None:
        r"""The texts of a side, if there are."""
        names = [text_names] if isinstance(text_names, str) else list(text_names or ())
        if given is None:
            if names or id_name is not None:
                raise ValueError(
                    f"'{side}s' must be given, the table that '{side}_text' and "
                    f"'{side}_id' name columns of, got None"
                )
            return
        if not names:
            raise ValueError(
                f"'{side}_text' must name the columns of '{side}s' that are its text, "
                'got none'
            )
        if not isinstance(given, (str, Path)):
            table: Table = FrameTable(given, f"'{side}s'")
        elif Path(given).suffix in ('.parquet', '.pq'):
            table = ParquetTable(Path(given))
        else:
            table = self._open_csv(Path(given))
        texts = TextColumns(table, id_name or getattr(self.columns, side), names)
        self.texts[side] = texts
        self.sources.append(_source(table, [texts.id, *names]))

    def build(self, root: Path, force: bool, **form: Any) -> None:
        r"""Writes :obj:`root/processed` unless it holds just this.

        Args:
            root (Path): The folder of the dataset.
            force (bool): Whether what is there is replaced.
            form (dict): What else the tables were read with.
        """
        options = {
            **form,
            **self.columns._asdict(),
            **{f'{side}_id': texts.id for side, texts in self.texts.items()},
            **{f'{side}_text': texts.text for side, texts in self.texts.items()},
            'duplicates': self.duplicates,
        }
        build_if_missing(
            root.expanduser() / 'processed',
            Fingerprint(self.sources, options),
            lambda: BuildPlan(self.tables, self.columns, self.texts, self.duplicates),
            force,
        )


def _source(table: Table, columns: Sequence[str]) -> Source:
    if isinstance(table, FrameTable):
        return FrameSource(table, columns)
    return FileSource(Path(table.name))
