r"""Your own interactions in, a trained model and recommendations with your ids out.

    python examples/own_data.py --interactions ratings.csv --user userId \
        --item movieId --rating rating --min-rating 4 --timestamp timestamp \
        --items movies.csv --item-text title genres --recommend-for 1 2 3 \
        --k 10 --out runs/movies

Interactions and texts may be CSV or Parquet. Under --out: data/ (interactions and
texts, read once), model/ (checkpoints, of which best.ckpt is the model), metrics.json,
and recommendations.csv with the columns user, item, rank, score. Without --timestamp
the split is random, by user. With --item-text profiles are aligned: those of users come
from their training items alone. With --intents, a file of examples/extract_intents.py
from the same interactions, intents are aligned too. --alignment says otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import torch
from irllrec import (
    BACKBONE_NAMES,
    TEXTS,
    build_model,
    check_catalogue,
    choose_preset,
    open_run,
    positive_int,
    said_plainly,
)
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform, Compose

from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.nn import Recommendation
from pyg_irllrec.presets import Preset
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.text.intents.intent_file import manifest_path
from pyg_irllrec.training import InteractionDataModule, fit, parse_device
from pyg_irllrec.transforms import (
    AddIntents,
    BinarizeRatings,
    EncodeText,
    KCore,
    ProfileTexts,
    SplitInteractions,
)
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.node_data import read_ids


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return said_plainly(lambda: run(args), 'go on with --resume')


def run(args: argparse.Namespace) -> None:
    parse_device(args.device)
    # Read anew unless resumed: the files or columns may be others.
    dataset = read(
        args,
        args.out / 'data',
        item_id=args.items_id,
        sep=args.sep,
        force=not args.resume,
    )
    data = prepare(dataset, args)
    check_catalogue(data)
    num_items = data['item'].num_nodes
    if args.k > num_items:
        raise ValueError(
            f"'--k' must be from 1 to the number of items, {num_items}, got {args.k}"
        )
    users = find_users(data, dataset, args.recommend_for)
    preset = own_preset(args.backbone, args.alignment, args.translation)
    training = preset['training']
    batch_size = training.pop('batch_size')
    torch.manual_seed(args.seed)
    model = build_model(data, args.backbone, args.alignment, preset)
    asked_of_it = ('recommend_for', 'k')
    settings = {k: v for k, v in vars(args).items() if k not in asked_of_it}
    settings['intents_sha256'] = hash_intents(args.intents)
    out = open_run(argparse.Namespace(**settings), args.out / 'model')
    result = fit(
        model,
        InteractionDataModule(data, batch_size, seed=args.seed),
        out,
        epochs=args.epochs,
        seed=args.seed,
        device=args.device,
        resume=args.resume and (out / 'last.ckpt').is_file(),
        progress=not args.quiet,
        **training,
    )
    print(', '.join(f'{name} {value:.4f}' for name, value in result.test.items()))
    with atomic_write(args.out / 'metrics.json') as file:
        json.dump(result.test, file, indent=2)
    best = model.recommend(users, args.k, exclude=known(dataset, data))
    write(best, users, data, args.out / 'recommendations.csv')
    show(best, users, data)


def read(
    args: argparse.Namespace, root: Path, sep: str = ',', **more: Any
) -> InteractionDataset:
    """What the options of add_files name, as examples/extract_intents.py reads it."""
    options = {
        'user': args.user,
        'item': args.item,
        'rating': args.rating,
        'timestamp': args.timestamp,
        'items': args.items,
        'item_text': args.item_text,
        **more,
    }
    if args.interactions.suffix in ('.parquet', '.pq'):
        build = InteractionDataset.from_parquet
    else:
        build = InteractionDataset.from_csv
        options['sep'] = sep
    return build(args.interactions, root, **options)


def prepare(dataset: InteractionDataset, args: argparse.Namespace) -> HeteroData:
    steps = split(args)
    # After the split, so that no text of a user knows a test item.
    if args.item_text:
        steps += [ProfileTexts(), EncodeText(TfidfEncoder())]
    if args.intents is not None:
        steps += [
            AddIntents(args.intents),
            EncodeText(TfidfEncoder(), 'intent_text', 'intent'),
        ]
    return Compose(steps)(dataset[0])


def hash_intents(path: Path | None) -> str | None:
    """What is in a file of intents, which AddIntents has read: under its name there may
    be others by now."""
    if path is None:
        return None
    return json.loads(manifest_path(path).read_text())['intents_sha256']


def split(args: argparse.Namespace) -> list[BaseTransform]:
    """What is liked, and what is held out of it, also for extract_intents.py."""
    steps: list[BaseTransform] = []
    if args.min_rating is not None:
        steps.append(BinarizeRatings(args.min_rating))
    steps.append(KCore(args.k_core))  # At least one: nobody is left without any.
    by = 'random' if args.timestamp is None else 'time'
    return [*steps, SplitInteractions(by, seed=args.seed)]


def own_preset(backbone: str, alignment: str, translation: str = 'moments') -> Preset:
    """Amazon's hyper-parameters; for LightGCN with intents the dropout and the L2
    weight of the one without, and a quarter of the weight of intents: on MovieLens they
    outweighed the ranking (benchmarks/intent_quality.py)."""
    preset = choose_preset(backbone, 'amazon', alignment)
    preset['training'] |= {'check_every': 2, 'batch_size': 1024}
    if 'intent' in TEXTS[alignment]:
        if translation == 'moments':
            preset['alignment']['translation_impl'] = 'moments'
        if backbone == 'lightgcn':
            preset['backbone']['edge_dropout'] = 0.2
            preset['model']['l2_weight'] = 1e-6
            preset['alignment']['intent_weight'] = 5e-3
    return preset


def find_users(data: HeteroData, dataset: InteractionDataset, ids: list[str]) -> Tensor:
    """The nodes of users by their original ids, which come from the command line as
    text; all users where none is named."""
    if not ids:
        return torch.arange(data['user'].num_nodes)
    known = {str(name): node for node, name in enumerate(read_ids(data, 'user'))}
    unknown = [name for name in ids if name not in known]
    if unknown:
        there = unknown[0] in map(str, read_ids(dataset[0], 'user'))
        why = 'who has too few liked interactions' if there else 'who is not there'
        raise ValueError(
            f"'--recommend-for' must name users of the interactions, got {unknown[0]}, "
            f'{why} ({len(known)} users, such as {next(iter(known))})'
        )
    return torch.tensor([known[name] for name in ids])


def known(dataset: InteractionDataset, data: HeteroData) -> Tensor:
    """What no user has to be told any more, also what they did not like."""
    rows = []
    whole = dataset[0]
    for side, index in zip(('user', 'item'), whole['user', 'rates', 'item'].edge_index):
        node = torch.full((whole[side].num_nodes,), -1)
        left = dataset.nodes_of(side, read_ids(data, side))
        node[left] = torch.arange(len(left))
        rows.append(node[index])
    pairs = torch.stack(rows)
    return pairs[:, (pairs >= 0).all(dim=0)]


def write(best: Recommendation, users: Tensor, data: HeteroData, path: Path) -> None:
    user_ids, item_ids = read_ids(data, 'user'), read_ids(data, 'item')
    with atomic_write(path) as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(['user', 'item', 'rank', 'score'])
        for user, items, scores in zip(users.tolist(), *map(Tensor.tolist, best)):
            for rank, (item, score) in enumerate(zip(items, scores), start=1):
                if item >= 0:  # Fewer items than asked for were left.
                    row = [user_ids[user], item_ids[item], rank, f'{score:.6f}']
                    table.writerow(row)


def show(best: Recommendation, users: Tensor, data: HeteroData, most: int = 5) -> None:
    user_ids, item_ids = read_ids(data, 'user'), read_ids(data, 'item')
    text = data['item'].text if 'text' in data['item'] else None
    for user, items in zip(users[:most].tolist(), best.item.tolist()):
        print(f'\nUser {user_ids[user]}')
        for rank, item in enumerate((i for i in items if i >= 0), start=1):
            name = '' if text is None else f'  {text[item]}'
            print(f'{rank:>4}  {item_ids[item]}{name}')


def add_files(parser: argparse.ArgumentParser, texts: bool) -> None:
    """The options of interactions, and of texts, which may be required."""
    add = parser.add_argument
    add('--interactions', type=Path, required=True, metavar='FILE')
    add('--user', required=True, metavar='COLUMN')
    add('--item', required=True, metavar='COLUMN')
    add('--rating', metavar='COLUMN')
    add('--min-rating', type=float, help='what counts as liked (needs --rating)')
    add('--timestamp', metavar='COLUMN', help='split by time')
    add('--items', type=Path, required=texts, metavar='FILE', help='texts of items')
    add(
        '--item-text',
        nargs='+',
        required=texts,
        default=[],
        metavar='COLUMN',
        help='of --items',
    )


def check_files(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.min_rating is not None and args.rating is None:
        parser.error('--min-rating needs --rating')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_files(parser, texts=False)
    add = parser.add_argument
    add('--items-id', metavar='COLUMN', help='their id (default: as --item)')
    add('--sep', default=',', help='what separates columns (default: a comma)')
    add(
        '--k-core',
        type=positive_int,
        default=1,
        metavar='N',
        help='keep users and items with that many interactions (default: all)',
    )
    add('--intents', type=Path, metavar='FILE', help='of extract_intents.py, .jsonl')
    add('--backbone', choices=BACKBONE_NAMES, default='lightgcn')
    add('--alignment', choices=tuple(TEXTS), help='(default: by the texts given)')
    add(
        '--translation',
        choices=('exact', 'moments'),
        default='moments',
        help='a term of full: linear in the nodes and approximate, or exact '
        '(default: moments)',
    )
    add('--epochs', type=positive_int, default=100, help='at most (default: 100)')
    add('--seed', type=int, default=0)
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    add(
        '--recommend-for',
        nargs='*',
        default=[],
        metavar='ID',
        help='users by their ids (default: all)',
    )
    add('--k', type=positive_int, default=10, help='items a user (default: 10)')
    add('--out', type=Path, required=True, metavar='DIR')
    add('--resume', action='store_true', help='go on with the run that was stopped')
    add('--quiet', action='store_true', help='no progress bars')
    args = parser.parse_args(argv)
    check_files(parser, args)
    if args.item_text and args.items is None:
        parser.error('--item-text needs --items')
    check_alignment(parser, args)
    if args.backbone == 'alpharec' and not args.item_text:
        parser.error('--backbone alpharec needs --item-text')
    return args


def check_alignment(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    given = {'profile': bool(args.item_text), 'intent': args.intents is not None}
    if given['intent'] and not given['profile']:
        parser.error('--intents needs --item-text')
    if args.alignment is None:
        args.alignment = 'full' if given['intent'] else 'profile'
        args.alignment = args.alignment if given['profile'] else 'none'
    for text, option in (('profile', '--item-text'), ('intent', '--intents')):
        if text in TEXTS[args.alignment] and not given[text]:
            parser.error(f'--alignment {args.alignment} needs {option}')


if __name__ == '__main__':
    sys.exit(main())
