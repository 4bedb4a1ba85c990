from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

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
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import (
    BundleArgument,
    Config,
    Json,
    Quiet,
    Threads,
    parse_out,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.table_columns import (
    TableColumns,
    find_item_columns,
    find_table_columns,
)
from pyg_irllrec.datasets._ingest.open_table import open_table
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving.load import bundle_folder
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils.split_layout import HELD_OUT_KEYS

EXAMPLES = """\
pyg-irllrec update runs/books --interactions today.csv
pyg-irllrec update runs/books --items new_books.csv --out runs/fresh"""

OPTIONS = {
    "'interactions'": '--interactions',
    "'items'": '--items',
    **FORM_OPTIONS,
    "'path'": '--out',
}


def update(
    bundle: BundleArgument,
    interactions: Annotated[
        Optional[Path],
        Option(
            metavar='FILE', help='New interactions: a CSV, Parquet or JSON Lines file.'
        ),
    ] = None,
    items: Items = None,
    user: UserColumn = None,
    item: ItemColumn = None,
    rating: Annotated[
        Optional[str],
        Option(
            '--rating',
            metavar='COLUMN',
            help='Column of ratings. Read only if the bundle has a --min-rating from '
            'prepare: lower ratings only count as seen.',
        ),
    ] = None,
    all_liked: Annotated[
        bool,
        Option('--all-liked', help='Count every new interaction as liked.'),
    ] = False,
    items_id: ItemsId = None,
    item_text: ItemText = None,
    title: Title = None,
    sep: Separator = None,
    encoding: Encoding = 'utf-8',
    out: Annotated[
        Optional[Path],
        Option(
            parser=parse_out,
            metavar='DIR',
            show_default='BUNDLE',
            help='Folder for the new bundle.',
        ),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Add new interactions, users and items without training.

    Columns that you do not name are found by their headers, as in `prepare`. Unknown
    users and items are added; an item with a text but no interactions is ranked by its
    text. The bundle is replaced whole or not at all, and a running service loads the
    new one.
    """
    if interactions is None and items is None:
        raise ValueError('pass --interactions, --items or both')
    form = {'sep': sep, 'encoding': encoding}
    before, output = open_bundle(bundle), Output(as_json, quiet)
    min_rating = None if all_liked else before.min_rating
    if min_rating is None and rating is not None:
        output.note('--rating has no effect: every interaction counts as liked')
        rating = None
    given = TableColumns(user, item, rating, None, items_id, item_text, title)
    columns = _find_columns(interactions, items, form, given, min_rating)
    pairs: Any = []
    if interactions is not None:
        pairs = _read_pairs(interactions, form, columns)
        if all_liked:
            pairs['rating'] = [before.min_rating] * len(pairs['user'])
    texts = None if items is None else _read_items(items, form, columns)
    for name, column in columns.shown():
        output.note(f'{name:>12}: {column}')
    if interactions is not None and min_rating is not None:
        output.note(f'{"min-rating":>12}: {min_rating:g}')
    if before.model.blends:
        output.note('recomputing the closed-form companions of the model')
    after = before.update(pairs, items=texts)
    still = _num_held_out(after)
    if still < _num_held_out(before):
        output.note(
            f'{_num_held_out(before) - still} interactions are no longer held out, '
            f'{still} still are'
        )
    by_text = _num_by_text(after)
    if by_text > _num_by_text(before):
        output.note(
            f'{by_text} of {len(after.items)} items have no interactions and are '
            'ranked by their texts, at the expense of other items: compare with '
            'evaluate if there are many'
        )
    path = bundle_folder(bundle) if out is None else out
    after.save(path)
    added = {
        name: count - _sizes(before)[name] for name, count in _sizes(after).items()
    }
    output.result(
        {'bundle': path, 'added': added},
        [
            *(f'{name:>12}: {count} added' for name, count in added.items()),
            f'saved the bundle {path}',
        ],
    )


def _find_columns(
    interactions: Optional[Path],
    items: Optional[Path],
    form: Mapping[str, Any],
    given: TableColumns,
    min_rating: Optional[float],
) -> TableColumns:
    r"""Complete the columns by the headers of the tables."""
    if interactions is not None:
        return find_table_columns(
            interactions, items, form, given, min_rating=min_rating, needs_time=False
        )
    assert items is not None
    return given._replace(**find_item_columns(items, form, given._asdict()))


def _read_pairs(
    path: Path, form: Mapping[str, Any], columns: TableColumns
) -> dict[str, list[Any]]:
    r"""Read the interactions, with columns as
    :meth:`~pyg_irllrec.serving.Bundle.update` names them."""
    names = {'user': columns.user, 'item': columns.item, 'rating': columns.rating}
    return _columns(path, form, {key: name for key, name in names.items() if name})


def _read_items(
    path: Path, form: Mapping[str, Any], columns: TableColumns
) -> dict[str, list[Any]]:
    key, title = str(columns.items_id or columns.item), str(columns.title)
    texts = columns.item_text or []
    table = _columns(path, form, {name: name for name in (key, title, *texts)})
    return {
        'id': table[key],
        'title': ['' if each is None else str(each) for each in table[title]],
        'text': [
            '. '.join(str(each) for each in row if each not in (None, ''))
            for row in zip(*(table[name] for name in texts))
        ],
    }


def _columns(
    path: Path, form: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, list[Any]]:
    r"""Read columns of a file and rename them."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for batch in open_table(path, **form).batches(list(dict.fromkeys(names.values()))):
        for name, column in names.items():
            columns[name] += batch[column].to_pylist()
    return columns


def _num_held_out(bundle: Bundle) -> int:
    rates = bundle.data[RATES]
    return sum(rates[key].size(1) for key in HELD_OUT_KEYS if key in rates)


def _num_by_text(bundle: Bundle) -> int:
    return bundle.ranker.tower.only_text('item').numel()


def _sizes(bundle: Bundle) -> dict[str, int]:
    return {
        'users': len(bundle.users),
        'items': len(bundle.items),
        'interactions': bundle.data[RATES].edge_index.size(1),
    }


command = Command(update, EXAMPLES, OPTIONS)
