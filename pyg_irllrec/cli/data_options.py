r"""Interactions and texts from a user's own files: the options that name them, and the
graph that is made of them. Every command that reads such files takes them from here, so
that all of them make the same graph of the same options."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Optional

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_irllrec.cli.argument_types import positive_int, separator
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest.file_kind import file_kind
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.text.intents.intent_file import (
    check_path,
    manifest_path,
    read_manifest,
)
from pyg_irllrec.transforms import (
    AddIntents,
    AddProfiles,
    BinarizeRatings,
    EncodeText,
    KCore,
    ProfileTexts,
    SplitInteractions,
)
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils.files import atomic_write

FILES = ('interactions', 'items')
"""The options that name files. The same data may lie elsewhere the next time."""

CHOICES = (
    'sep',
    'encoding',
    'user',
    'item',
    'rating',
    'min_rating',
    'timestamp',
    'time_unit',
    'item_text',
    'items_id',
    'k_core',
    'split_seed',
)
"""The options that decide what the graph is, given the files."""


def add_data_options(
    parser: argparse.ArgumentParser,
    *,
    required: bool = True,
    texts_required: bool = False,
) -> None:
    r"""Adds the options that name interactions and texts, and how they are split.

    Args:
        parser (argparse.ArgumentParser): The parser.
        required (bool): Whether the interactions must be named. Otherwise no option has
            a default, so that those that are given stand out. (default: :obj:`True`)
        texts_required (bool): Whether the texts of items must be named.
            (default: :obj:`False`)
    """
    group = parser.add_argument_group(
        'data', 'CSV, Parquet or JSON lines, by the names of the files'
    )

    def add(name: str, default: Any = None, **options: Any) -> None:
        if not required:
            default = argparse.SUPPRESS
        group.add_argument(name, default=default, **options)

    add('--interactions', type=Path, required=required, metavar='FILE')
    add('--sep', ',', type=separator, help='the separator of columns (default: ,)')
    add(
        '--encoding',
        'utf-8',
        metavar='NAME',
        help='the encoding of CSV files and JSON lines (default: utf-8)',
    )
    add('--user', required=required, metavar='COLUMN', help='the ids of users')
    add('--item', required=required, metavar='COLUMN', help='the ids of items')
    add('--rating', metavar='COLUMN')
    add(
        '--min-rating',
        type=float,
        metavar='R',
        help='the least rating that counts as liked (needs --rating)',
    )
    add('--timestamp', metavar='COLUMN', help='split by time instead of at random')
    add(
        '--time-unit',
        'auto',
        choices=('auto', 's', 'ms', 'us', 'ns'),
        help='the unit of times that are numbers (default: found by their size)',
    )
    add(
        '--items',
        type=Path,
        required=texts_required,
        metavar='FILE',
        help='texts of items',
    )
    add(
        '--item-text',
        [],
        nargs='+',
        required=texts_required,
        metavar='COLUMN',
        help='the columns of --items that are joined to a text',
    )
    add(
        '--items-id',
        metavar='COLUMN',
        help='the ids of items in --items (default: the column named by --item)',
    )
    add(
        '--k-core',
        1,
        type=positive_int,
        metavar='N',
        help='keep users and items with at least N interactions (default: 1)',
    )
    add('--split-seed', 0, type=int, metavar='N', help='(default: 0)')


def check_data_options(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> None:
    r"""Ends the command where options need others that are missing."""
    if args.min_rating is not None and args.rating is None:
        parser.error('--min-rating needs --rating')
    for name in ('item_text', 'items_id'):
        if getattr(args, name) and args.items is None:
            parser.error(f'{_option(name)} needs --items')
    if args.items is not None and not args.item_text:
        parser.error('--items needs --item-text')


def read_dataset(
    args: argparse.Namespace, root: Path, force: bool = False
) -> InteractionDataset:
    r"""Reads the files into :obj:`root`, or opens them from there where the same have
    been read.

    Args:
        args (argparse.Namespace): The options of :func:`add_data_options`.
        root (pathlib.Path): The folder.
        force (bool): Whether other data there is replaced. (default: :obj:`False`)

    Raises:
        ValueError: If a file or column does not fit.
        FileNotFoundError: If a file is missing.
    """
    options: dict[str, Any] = {
        'user': args.user,
        'item': args.item,
        'rating': args.rating,
        'timestamp': args.timestamp,
        'time_unit': args.time_unit,
        'items': args.items,
        'item_text': args.item_text,
        'item_id': args.items_id,
        'force_reload': force,
    }
    kind = file_kind(args.interactions)
    if kind == 'parquet':
        return InteractionDataset.from_parquet(args.interactions, root, **options)
    options['encoding'] = args.encoding
    if kind == 'json_lines':
        return InteractionDataset.from_json_lines(args.interactions, root, **options)
    return InteractionDataset.from_csv(args.interactions, root, sep=args.sep, **options)


def split_steps(args: argparse.Namespace) -> list[BaseTransform]:
    r"""The transforms that leave what is liked and hold a part of it out."""
    steps: list[BaseTransform] = []
    if args.min_rating is not None:
        steps.append(BinarizeRatings(args.min_rating))
    steps.append(KCore(args.k_core))  # At least 1: nobody is left without interactions.
    by = 'random' if args.timestamp is None else 'time'
    return [*steps, SplitInteractions(by, seed=args.split_seed)]


def make_graph(
    dataset: InteractionDataset,
    args: argparse.Namespace,
    intents: Optional[Path] = None,
    profiles: Optional[Path] = None,
) -> HeteroData:
    r"""The graph to train on: split, with the vectors of profiles and intents, where
    there are texts and intents.

    Args:
        dataset (InteractionDataset): The interactions and texts.
        args (argparse.Namespace): The options of :func:`add_data_options`.
        intents (pathlib.Path, optional): The file that
            :class:`~pyg_irllrec.text.IntentExtractor` has written.
            (default: :obj:`None`)
        profiles (pathlib.Path, optional): Likewise, of profiles, which take the place
            of those that are joined from texts. (default: :obj:`None`)

    Raises:
        ValueError: If nothing is left to train on, or intents or profiles were
            extracted with other options or from other data.
    """
    for what, path in (('intents', intents), ('profiles', profiles)):
        if path is not None:
            check_extraction_options(path, args, what)
    steps = split_steps(args)
    # After the split: no profile may contain a held-out item.
    if args.item_text:
        write = (
            ProfileTexts() if profiles is None else AddProfiles(profiles, sides=SIDES)
        )
        steps += [write, EncodeText(TfidfEncoder())]
    if intents is not None:
        encode = EncodeText(TfidfEncoder(), 'intent_text', 'intent')
        steps += [AddIntents(intents, sides=SIDES), encode]
    graph: HeteroData = Compose(steps)(dataset[0])
    return graph


def record_extraction_options(path: Path, args: argparse.Namespace) -> None:
    r"""Adds the options of the data to the manifest of extracted intents or
    profiles."""
    manifest = read_manifest(path)
    manifest['data_options'] = {name: getattr(args, name) for name in CHOICES}
    with atomic_write(manifest_path(path)) as file:
        json.dump(manifest, file, indent=1)
        file.write('\n')


def check_extraction_options(path: Path, args: argparse.Namespace, what: str) -> None:
    r"""Raises a :class:`ValueError` that names the options that differ from those with
    which intents or profiles were extracted.

    Args:
        path (pathlib.Path): The file.
        args (argparse.Namespace): The options of :func:`add_data_options`.
        what (str): What the file should hold, :obj:`"intents"` or :obj:`"profiles"`.
    """
    check_path(path)
    if not manifest_path(path).is_file():
        return  # AddIntents and AddProfiles refuse it.
    before = read_manifest(path).get('data_options', {})
    if not isinstance(before, dict):
        raise ValueError(
            f"{manifest_path(path)} is damaged: 'data_options' must be an object, got "
            f'{before!r:.80}: write it with extract_intents.py'
        )
    check_same_options(
        before,
        {name: getattr(args, name) for name in CHOICES},
        f'the {what} of {path} were extracted',
    )


def check_same_options(before: dict[str, Any], now: dict[str, Any], what: str) -> None:
    r"""Raises a :class:`ValueError` that names each option whose value is another now.

    Args:
        before (dict): The values that were given, by the names of options.
        now (dict): The values that are given.
        what (str): What was done with them, such as :obj:`"the model was trained"`.
    """
    differ = [name for name in now if name in before and before[name] != now[name]]
    if differ:
        old = ' '.join(_show(name, before[name]) for name in differ)
        new = ' '.join(_show(name, now[name]) for name in differ)
        raise ValueError(f'{what} with {old}: give the same here, got {new}')


def _show(name: str, value: Any) -> str:
    r"""An option as it is typed."""
    if value is None or value == []:
        return f'no {_option(name)}'
    if name == 'sep':
        return f'--sep {value!r}'
    words = value if isinstance(value, list) else [value]
    return ' '.join([_option(name), *map(str, words)])


def _option(name: str) -> str:
    return '--' + name.replace('_', '-')
