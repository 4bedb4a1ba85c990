from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose
from typer import Option

from pyg_irllrec.cli.column_options import (
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
from pyg_irllrec.cli.split_options import SplitOptions
from pyg_irllrec.cli.table_columns import TableColumns, find_table_columns
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest.file_kind import file_kind
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils.folder_lock import FolderLock

EXAMPLES = """\
pyg-irllrec prepare --interactions ratings.csv --items movies.csv --out data/movies
pyg-irllrec prepare --interactions plays.parquet --user listener --item track \\
    --rating plays --min-rating 5 --k-core 5 --split random --out data/plays"""

OPTIONS = {
    "'min_rating'": '--min-rating',
    "'val'": '--val',
    "'test'": '--test',
    "'seed'": '--seed',
    "'encoding'": '--encoding',
    "'sep'": '--sep',
    "'time_unit'": '--time-unit',
    "'rating'": '--rating',
    "'val + test'": '--val + --test',
    "'k'": '--k-core',
    "'k_item'": '--k-core of items',
    " (cold='drop' drops them)": '',
}


def prepare(
    interactions: Annotated[
        Path,
        Option(
            metavar='FILE',
            help='CSV, Parquet or JSON lines, by its name; or a folder of Parquet.',
        ),
    ],
    out: Annotated[
        Path, Option(parser=parse_out, metavar='DATA', help='The folder to write.')
    ],
    user: UserColumn = None,
    item: ItemColumn = None,
    rating: Annotated[
        Optional[str], Option(metavar='COLUMN', help='Read with --min-rating.')
    ] = None,
    min_rating: Annotated[
        Optional[float],
        Option(
            metavar='R',
            show_default='each interaction counts',
            help='The least rating that counts as liked.',
        ),
    ] = None,
    timestamp: Annotated[Optional[str], Option(metavar='COLUMN')] = None,
    time_unit: Annotated[
        Literal['auto', 's', 'ms', 'us', 'ns'],
        Option(help='The unit of times that are numbers.'),
    ] = 'auto',
    items: Items = None,
    items_id: ItemsId = None,
    item_text: ItemText = None,
    title: Title = None,
    sep: Separator = ',',
    encoding: Encoding = 'utf-8',
    k_core: Annotated[
        int,
        Option(
            min=1, metavar='N', help='Keep users and items with N interactions or more.'
        ),
    ] = 1,
    split: Annotated[
        Literal['auto', 'random', 'time', 'leave-one-out'],
        Option(help='What of each user is held out; auto: by time where there is one.'),
    ] = 'auto',
    val: Annotated[float, Option(help='The share held out for validation.')] = 0.1,
    test: Annotated[float, Option(help='The share held out for the test.')] = 0.2,
    seed: Seed = 0,
    force: Annotated[bool, Option('--force', help='Replace other data there.')] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Read interactions, and texts of items, and hold a part out.

    Columns that are not named are found by names such as user_id, item, timestamp,
    title or description, and printed.
    """
    output = Output(as_json, quiet)
    form: dict[str, Any] = {'sep': sep, 'encoding': encoding}
    columns = find_table_columns(
        interactions,
        items,
        form,
        TableColumns(user, item, rating, timestamp, items_id, item_text, title),
        needs_rating=min_rating is not None,
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
    options.hold_out()  # It checks them.
    arguments = {**columns.arguments(), 'items': items, 'time_unit': time_unit}
    folder = DataFolder(out)
    folder.check_own()
    with FolderLock(out):
        graph = _write(folder, interactions, arguments, form, options, force)
    for name, column in columns.shown():
        output.note(f'{name:>12}: {column}')
    shown = by.replace('_', '-')
    output.note(f'{"split":>12}: {shown}')
    if split == 'auto' and by == 'random':
        output.note('no column of times was found by its name: give --timestamp')
    if rating is not None and min_rating is None:
        output.note('--rating is not read without --min-rating: all count as liked')
    counts = _counts(graph)
    left_out = 0 if items is None else _count_left_out(folder.open(), graph)
    if left_out:
        output.note(
            f'{left_out} rows of {items} are of items without interactions that count, '
            'and left out: once trained, pyg-irllrec update RUN --items ranks them by '
            'their texts'
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
    r"""What is there stays as it was until all else is known to be right."""
    kept, staged = folder.path / 'processed', folder.path / '.new'
    shutil.rmtree(staged, ignore_errors=True)  # What a killed run has left.
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
    graph: HeteroData = Compose([*options.keep(), options.hold_out()])(dataset[0])
    texts = graph['item'].get('text')
    if texts is not None and not any(text.strip() for text in texts):
        raise ValueError(
            '--item-text must name columns that hold texts, got none for any item that '
            'has interactions: name others, or leave out --items'
        )
    held_out = graph[RATES].get('val_edge_label_index')
    if held_out is None or held_out.size(1) == 0:
        most = int(graph[RATES].edge_index[0].bincount().max())
        raise ValueError(
            f'--val {options.val:g} holds nothing out to validate by, and users have '
            f'at most {most} interactions (liked ones, with --min-rating) to train on: '
            'give a larger share, or --split leave-one-out'
        )
    return graph


def _count_left_out(dataset: InteractionDataset, graph: HeteroData) -> int:
    r"""The items that have a text, and no interactions that count."""
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


command = Command(prepare, EXAMPLES, OPTIONS, 'the same command starts over')
