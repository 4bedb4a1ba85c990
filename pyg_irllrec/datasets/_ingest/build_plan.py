from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pyarrow as pa

from pyg_irllrec.datasets._ingest.node_texts import TextColumns, read_node_texts
from pyg_irllrec.datasets._ingest.read_interactions import (
    InteractionColumns,
    read_interactions,
)
from pyg_irllrec.datasets._ingest.sources import Source
from pyg_irllrec.datasets._ingest.store import (
    SIDES,
    is_store_file,
    read_manifest,
    write_store,
)
from pyg_irllrec.datasets._ingest.tables import Table, check_columns
from pyg_irllrec.utils.checks import check_choice

_DUPLICATES = {
    'last': 'the last of them counts',
    'first': 'the first of them counts',
    'sum': 'they count once, with the sum of their ratings',
    'error': '',
}


class Fingerprint(NamedTuple):
    r"""What two datasets have in common that are the same."""

    sources: Sequence[Source]
    options: Mapping[str, Any]
    """All that the result depends on beside the sources, as JSON has it."""


class BuildPlan(NamedTuple):
    r"""How a dataset is made."""

    tables: Sequence[Table]
    columns: InteractionColumns
    texts: Mapping[str, TextColumns]
    """For :obj:`"user"` and :obj:`"item"`, where there are."""
    duplicates: str = 'last'


def check_duplicates(duplicates: str, rating: Optional[str]) -> None:
    r"""Raises a :class:`ValueError` for what cannot be done with duplicates."""
    check_choice('duplicates', duplicates, tuple(_DUPLICATES))
    if duplicates == 'sum' and rating is None:
        raise ValueError("'duplicates' = 'sum' needs 'rating': there is nothing to sum")


def build_if_missing(
    folder: Path, fingerprint: Fingerprint, plan: Callable[[], BuildPlan], force: bool
) -> None:
    r"""Sees to it that a folder holds a dataset: nothing is read again where it is
    there.

    Args:
        folder (Path): Where.
        fingerprint (Fingerprint): What it is made from.
        plan (callable): How it is made, where it has to be.
        force (bool): Whether it is made anew, in the place of what is there.

    Raises:
        ValueError: If something else is there.
    """
    there = folder.exists() and any(folder.iterdir())
    if force and there:
        _check_ours(folder)
    if force or not there:
        _make(folder, fingerprint, plan(), replace=force)
    if not force:
        _check_fingerprint(
            folder, fingerprint
        )  # Also what another process was faster to write.


def _check_ours(folder: Path) -> None:
    r"""Raises a :class:`ValueError` where replacing a folder would delete what is not
    from here."""
    names = {path.name for path in folder.iterdir()}
    foreign = sorted(name for name in names if not is_store_file(name))
    if foreign:
        raise ValueError(
            f'{folder} is not replaced, as it holds {foreign[0]!r}, which is not of '
            "this dataset: choose another 'root'"
        )


def _check_fingerprint(folder: Path, fingerprint: Fingerprint) -> None:
    advice = "choose another 'root', or replace it with force=True"
    try:
        manifest = read_manifest(folder)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f'{error}; {advice}') from None
    options, records = manifest['options'], manifest['sources']
    for name in {**options, **fingerprint.options}:
        old, new = options.get(name), fingerprint.options.get(name)
        if old != new:
            raise ValueError(
                f'{folder} was made with {name} = {old!r}, not {new!r}: {advice}'
            )
    same = len(records) == len(fingerprint.sources) and all(
        source.is_recorded(record)
        for source, record in zip(fingerprint.sources, records)
    )
    if not same:
        names = ', '.join(record['name'] for record in records)
        raise ValueError(
            f'{folder} was made from other data than is given ({names}): {advice}'
        )


def _make(
    folder: Path, fingerprint: Fingerprint, plan: BuildPlan, replace: bool
) -> None:
    for table, id_name, text_names in plan.texts.values():
        check_columns(table, [id_name, *text_names])
    records = [source.record() for source in fingerprint.sources]
    found = read_interactions(plan.tables, plan.columns, plan.duplicates)
    ids = dict(zip(SIDES, (found.user_ids, found.item_ids)))
    counts = {
        'rows': found.num_rows,
        'interactions': found.edge_index.size(1),
        'duplicates': found.num_rows - found.edge_index.size(1),
        'users': len(found.user_ids),
        'items': len(found.item_ids),
    }
    nodes = {side: {'id': ids[side]} for side in SIDES}
    for side, source in plan.texts.items():
        texts = read_node_texts(source, ids[side], side)
        nodes[side]['text'] = texts.texts
        counts[f'{side}_texts'] = texts.num_texts
        counts[f'unknown_{side}_texts'] = texts.num_unknown
    edges = {name: getattr(found, name) for name in ('edge_index', 'rating', 'time')}
    write_store(
        folder,
        {side: pa.record_batch(columns) for side, columns in nodes.items()},
        {name: value for name, value in edges.items() if value is not None},
        {'sources': records, 'options': dict(fingerprint.options), 'counts': counts},
        replace,
    )
    if counts['duplicates']:
        warnings.warn(
            f'{counts["duplicates"]} of {counts["rows"]} interactions repeat a pair of '
            f'user and item: {_DUPLICATES[plan.duplicates]}',
            stacklevel=5,  # Whoever calls InteractionDataset.from_csv.
        )
