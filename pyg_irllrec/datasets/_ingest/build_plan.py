from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pyarrow as pa

from pyg_irllrec.datasets._ingest.node_texts import TextColumns, read_node_texts
from pyg_irllrec.datasets._ingest.read_interactions import (
    InteractionColumns,
    read_interactions,
)
from pyg_irllrec.datasets._ingest.source import Source
from pyg_irllrec.datasets._ingest.store import (
    is_store_file,
    read_manifest,
    write_store,
)
from pyg_irllrec.datasets._ingest.table import Table, check_columns
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.files import nearest_folder
from pyg_irllrec.utils.time_units import UNIT_NAMES
from pyg_irllrec.utils.warn_caller import warn_caller

_DUPLICATES = {
    'last': 'the last of each is kept',
    'first': 'the first of each is kept',
    'sum': 'each is kept once, with the sum of its ratings',
    'error': '',
}


class Fingerprint(NamedTuple):
    r"""The sources and options of a dataset. Equal fingerprints mean equal datasets."""

    sources: Sequence[Source]
    options: Mapping[str, Any]
    """All options that the result depends on, as JSON values."""


class BuildPlan(NamedTuple):
    r"""The tables, columns and options to build a dataset from."""

    tables: Sequence[Table]
    columns: InteractionColumns
    texts: Mapping[str, TextColumns]
    """The texts of :obj:`"user"` and :obj:`"item"`, if they have any."""
    duplicates: str = 'last'
    time_unit: str = 'auto'
    titles: Mapping[str, TextColumns] = {}
    """The titles, in the same form."""


def check_duplicates(duplicates: str, rating: Optional[str]) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`duplicates` is valid."""
    check_choice('duplicates', duplicates, tuple(_DUPLICATES))
    if duplicates == 'sum' and rating is None:
        raise ValueError("'duplicates' = 'sum' needs a column to sum: pass 'rating'")


def build_if_missing(
    folder: Path, fingerprint: Fingerprint, plan: Callable[[], BuildPlan], rebuild: bool
) -> None:
    r"""Build a dataset unless it is already in the folder.

    Args:
        folder (Path): The folder of the dataset.
        fingerprint (Fingerprint): The sources and options of the dataset.
        plan (callable): Returns the build plan; called only if the dataset is built.
        rebuild (bool): Whether to build it again, and replace the existing one.

    Raises:
        ValueError: If the folder contains something else.
    """
    exists = folder.exists() and any(folder.iterdir())
    if rebuild and exists:
        _check_replaceable(folder)
    if rebuild or not exists:
        _build(folder, fingerprint, plan(), replace=rebuild)
    if not rebuild:
        # Also after building: another process may have been faster.
        _check_fingerprint(folder, fingerprint)


def _check_replaceable(folder: Path) -> None:
    r"""Raise a :class:`ValueError` if a folder contains foreign files, which replacing
    it would delete."""
    names = {path.name for path in folder.iterdir()}
    foreign = sorted(name for name in names if not is_store_file(name))
    if foreign:
        raise ValueError(
            f'{folder} is not replaced, because it contains {foreign[0]!r}, which is '
            "not a file of a dataset: choose another 'root'"
        )


def _check_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    advice = "choose another 'root', or replace it with force_reload=True"
    try:
        manifest = read_manifest(folder)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f'{error}; {advice}') from None
    options, records = manifest['options'], manifest['sources']
    for name in {**options, **fingerprint.options}:
        old, new = options.get(name), fingerprint.options.get(name)
        if old != new:
            raise ValueError(
                f'{folder} was built with {name} = {old!r}, got {new!r}: {advice}'
            )
    same = len(records) == len(fingerprint.sources) and all(
        source.matches(record) for source, record in zip(fingerprint.sources, records)
    )
    if not same:
        names = ', '.join(record['name'] for record in records)
        raise ValueError(f'{folder} was built from other data ({names}): {advice}')


def _build(
    folder: Path, fingerprint: Fingerprint, plan: BuildPlan, replace: bool
) -> None:
    for table, id_name, text_names in (*plan.texts.values(), *plan.titles.values()):
        check_columns(table, [id_name, *text_names])
    records = [source.record() for source in fingerprint.sources]
    interactions = read_interactions(
        plan.tables,
        plan.columns,
        plan.duplicates,
        plan.time_unit,
        nearest_folder(folder),
    )
    ids = dict(zip(SIDES, (interactions.user_ids, interactions.item_ids)))
    num_interactions = interactions.edge_index.size(1)
    counts = {
        'rows': interactions.num_rows,
        'interactions': num_interactions,
        'duplicates': interactions.num_rows - num_interactions,
        'users': len(ids['user']),
        'items': len(ids['item']),
    }
    nodes = {side: {'id': ids[side]} for side in SIDES}
    for side, source in plan.texts.items():
        texts = read_node_texts(source, ids[side], side)
        nodes[side]['text'] = texts.texts
        counts[f'{side}_texts'] = texts.num_texts
        counts[f'unknown_{side}_texts'] = texts.num_unknown
    for side, source in plan.titles.items():
        titles = read_node_texts(source, ids[side], side)
        nodes[side]['title'] = titles.texts
        counts[f'{side}_titles'] = titles.num_texts
    edges = {
        name: getattr(interactions, name) for name in ('edge_index', 'rating', 'time')
    }
    write_store(
        folder,
        {side: pa.record_batch(columns) for side, columns in nodes.items()},
        {name: value for name, value in edges.items() if value is not None},
        {
            'sources': records,
            'options': dict(fingerprint.options),
            'counts': counts,
            'time_unit': interactions.time_unit,
        },
        replace,
    )
    if plan.time_unit == 'auto' and interactions.time_unit not in (None, 's'):
        warn_caller(
            f'the times in column {plan.columns.timestamp!r} are read as '
            f"{UNIT_NAMES[interactions.time_unit]}: pass 'time_unit' to confirm"
        )
    if counts['duplicates']:
        warn_caller(
            f'{counts["duplicates"]} of {counts["rows"]} interactions repeat a pair of '
            f'user and item: {_DUPLICATES[plan.duplicates]}'
        )
