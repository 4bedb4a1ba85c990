from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose
from typer import Option

from pyg_irllrec.cli.column_options import (
    FORM_OPTIONS,
    Encoding,
    ItemColumn,
    Items,
    ItemsId,
    ItemText,
    Separator,
    Title,
    UserColumn,
)
from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.options import Config, Json, Quiet, Seed, parse_out
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.split_options import WITHOUT_COLD_ADVICE, SplitOptions
from pyg_irllrec.cli.table_columns import TableColumns, find_table_columns
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest.file_kind import file_kind
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils.folder_lock import FolderLock

EXAMPLES = """\
pyg-irllrec prepare --interactions ratings.csv --items books.csv --out data/books
pyg-irllrec prepare --interactions plays.parquet --user listener --item track \\
    --rating plays --min-rating 5 --k-core 5 --split random --out data/plays"""

OPTIONS = {
    "'min_rating'": '--min-rating',
    "'val'": '--val',
    "'test'": '--test',
    "'seed'": '--seed',
    "'time_unit'": '--time-unit',
    "'rating'": '--rating',
    "'val + test'": '--val + --test',
    "'k'": '--k-core',
    **FORM_OPTIONS,
    **WITHOUT_COLD_ADVICE,
}


def prepare(
    interactions: Annotated[
        Path,
        Option(
            metavar='FILE',
            help='Interactions: a CSV, Parquet or JSON Lines file, by its extension, '
            'or a folder of Parquet files.',
        ),
    ],
    out: Annotated[
        Path, Option(parser=parse_out, metavar='DATA', help='Folder to write.')
    ],
    user: UserColumn = None,
    item: ItemColumn = None,
    rating: Annotated[
        Optional[str],
        Option(
            metavar='COLUMN', help='Column of ratings. Read only with --min-rating.'
        ),
    ] = None,
    min_rating: Annotated[
        Optional[float],
        Option(
            metavar='R',
            show_default='every interaction counts',
            help='Lowest rating that counts as liked; others are left out.',
        ),
    ] = None,
    timestamp: Annotated[
        Optional[str],
        Option(
            metavar='COLUMN',
            help='Column of times: ISO 8601, dates or numbers. Not read with --split '
            'random.',
        ),
    ] = None,
    time_unit: Annotated[
        Literal['auto', 's', 'ms', 'us', 'ns'],
        Option(help='Unit of numeric times; auto detects it.'),
    ] = 'auto',
    items: Items = None,
    items_id: ItemsId = None,
    item_text: ItemText = None,
    title: Title = None,
    sep: Separator = None,
    encoding: Encoding = 'utf-8',
    k_core: Annotated[
        int,
        Option(
            min=1,
            metavar='N',
            help='Keep only users and items with at least N interactions.',
        ),
    ] = 1,
    split: Annotated[
        Literal['auto', 'random', 'time', 'leave-one-out'],
        Option(
            help='Interactions of each user to hold out: random ones, the newest '
            '(time), or the last two (leave-one-out). auto: time if there are times, '
            'else random.'
        ),
    ] = 'auto',
    val: Annotated[
        float, Option(help="Fraction of each user's interactions for validation.")
    ] = 0.1,
    test: Annotated[
        float, Option(help="Fraction of each user's interactions for the test.")
    ] = 0.2,
    seed: Seed = 0,
    force: Annotated[
        bool, Option('--force', help='Replace other data in the folder --out.')
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Read interactions and item texts, and split them for training.

    Columns that you do not name are found by their headers, such as user_id, item,
    timestamp, title or description, and printed.
    """
    output = Output(as_json, quiet)
    form: dict[str, Any] = {'sep': sep, 'encoding': encoding}
    columns = find_table_columns(
        interactions,
        items,
        form,
        TableColumns(user, item, rating, timestamp, items_id, item_text, title),
        min_rating=min_rating,
        needs_time=split != 'random',
    )
    if split == 'time' and columns.timestamp is None:
        raise ValueError('--split time needs --timestamp')
    by = split.replace('-', '_')
    if split == 'auto':
        by = 'random' if columns.timestamp is None else 'time'
    options = SplitOptions.model_validate(
        {
            **{'min_rating': min_rating, 'k_core': k_core, 'split': by},
            **{'val': val, 'test': test, 'seed': seed},
        }
    )
    options.hold_out()  # Checks the options before any work.
    arguments = {**columns.arguments(), 'items': items, 'time_unit': time_unit}
    folder = DataFolder(out)
    folder.check_replaceable()
    with FolderLock(out):
        graph = _write(folder, interactions, arguments, form, options, force)
    for name, column in columns.shown():
        output.note(f'{name:>12}: {column}')
    shown = by.replace('_', '-')
    output.note(f'{"split":>12}: {shown}')
    if split == 'auto' and by == 'random':
        output.note(
            'the split is random, because no column of times was found (--timestamp '
            'names one)'
        )
    if rating is not None and min_rating is None:
        output.note(
            '--rating has no effect without --min-rating: all interactions count'
        )
    counts = _counts(graph)
    left_out = 0 if items is None else _count_left_out(folder.open(), graph)
    if left_out:
        output.note(
            f'left out {left_out} rows of {items}, whose items have no interactions '
            'after filtering: once trained, pyg-irllrec update RUN --items can add '
            'them, ranked by their texts, at the expense of other items'
        )
    output.result(
        {
            **{'data': out, 'columns': columns._asdict(), 'split': shown},
            **{**counts, 'items left out': left_out},
        },
        _lines(counts),
    )


def _write(
    folder: DataFolder,
    interactions: Path,
    arguments: dict[str, Any],
    form: dict[str, Any],
    options: SplitOptions,
    force: bool,
) -> HeteroData:
    r"""Write the folder. Existing data stays unchanged until the new data is complete
    and valid."""
    kept, staged = folder.path / 'processed', folder.path / '.new'
    shutil.rmtree(staged, ignore_errors=True)  # Left over from a killed run.
    is_new = force or not kept.exists()
    try:
        root = staged if is_new else folder.path
        dataset = _read(interactions, root, arguments, form)
        graph = _split(dataset, options)
        folder.options_path.unlink(missing_ok=True)
        if is_new:
            shutil.rmtree(kept, ignore_errors=True)
            (staged / 'processed').replace(kept)
        folder.write_options(options)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return graph


def _read(
    interactions: Path, root: Path, arguments: dict[str, Any], form: dict[str, Any]
) -> InteractionDataset:
    kind = file_kind(interactions)
    try:
        if kind == 'parquet':
            return InteractionDataset.from_parquet(interactions, root, **arguments)
        if kind == 'json_lines':
            return InteractionDataset.from_json_lines(
                interactions, root, encoding=form['encoding'], **arguments
            )
        return InteractionDataset.from_csv(interactions, root, **form, **arguments)
    except ValueError as error:
        advice = "choose another 'root', or replace it with force_reload=True"
        typed = 'choose another --out, or replace it with --force'
        raise ValueError(str(error).replace(advice, typed)) from None


def _split(dataset: InteractionDataset, options: SplitOptions) -> HeteroData:
    graph: HeteroData = Compose([*options.filters(), options.hold_out()])(dataset[0])
    texts = graph['item'].get('text')
    if texts is not None and not any(text.strip() for text in texts):
        raise ValueError(
            '--item-text must name columns with texts, got no text for any item with '
            'interactions: name other columns, or omit --items'
        )
    held_out = graph[RATES].get('val_edge_label_index')
    if held_out is None or held_out.size(1) == 0:
        raise ValueError(_no_validation(graph, options))
    return graph


def _no_validation(graph: HeteroData, options: SplitOptions) -> str:
    r"""Why no interaction is held out for validation, and what to do."""
    rates = graph[RATES]
    test = rates.get('test_edge_label_index', rates.edge_index[:, :0])
    most = int(torch.cat([rates.edge_index[0], test[0]]).bincount().max())
    if most == 1:
        return (
            'users must have at least 2 interactions for validation, got 1 for each '
            'user after filtering: no --split or --val can hold one out'
        )
    if options.split == 'leave_one_out':
        return (
            '--split leave-one-out needs users with at least 3 interactions, got at '
            f'most {most} after filtering: use --split random --val 0.5 --test 0'
        )
    way = ', or --split leave-one-out' if most > 2 else ' and a smaller --test'
    return (
        f'--val {options.val:g} holds out no interaction for validation, because users '
        f'have at most {most} interactions after filtering: use a larger fraction{way}'
    )


def _count_left_out(dataset: InteractionDataset, graph: HeteroData) -> int:
    r"""Count the items with a text and without interactions."""
    with_text = sum(map(bool, graph['item'].text))
    counts = dataset.counts
    return counts['unknown_item_texts'] + counts['item_texts'] - with_text


def _counts(graph: HeteroData) -> dict[str, Any]:
    rates = graph[RATES]
    parts = {
        'training': rates.edge_index.size(1),
        'validation': rates.val_edge_label_index.size(1),
        'test': rates.get('test_edge_label_index', rates.edge_index[:, :0]).size(1),
    }
    users, items = (graph[side].num_nodes for side in ('user', 'item'))
    total = sum(parts.values())
    counts = {'users': users, 'items': items, 'interactions': total, **parts}
    for name in ('text', 'title'):
        if name in graph['item']:
            counts[f'with a {name}'] = sum(map(bool, graph['item'][name]))
    return {**counts, 'density': total / (users * items)}


def _lines(counts: dict[str, Any]) -> list[str]:
    lines = [f'{name:>12}: {counts[name]}' for name in list(counts)[:-1]]
    return [*lines, f'{"density":>12}: {counts["density"]:.2%}']


command = Command(prepare, EXAMPLES, OPTIONS, 'run the same command to start over')
