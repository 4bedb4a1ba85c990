r"""Your own interactions in, a trained model and recommendations with your ids out.

    python examples/own_data.py --interactions ratings.csv --user userId \
        --item movieId --rating rating --min-rating 4 --timestamp timestamp \
        --items movies.csv --item-text title genres --recommend-for 1 2 3 \
        --k 10 --out runs/movies

Interactions and texts may be CSV or Parquet. Under --out: data/ (interactions and
texts, read once), model/ (checkpoints, of which best.ckpt is the model), metrics.json,
and recommendations.csv with the columns user, item, rank, score. An id there that a
spreadsheet could run as a formula has an apostrophe in front; recommendations.json
holds what the table was made from. An earlier run in --out is moved beside it, once the
new one is ready to train.

Without --timestamp the split is random, by user. The model is a graph recommender,
blended with EASE as validation shows. With --item-text it reads texts: those of users
come from their training items alone. With --intents, a file of
examples/extract_intents.py with the same options of the data, it reads intents too;
with --profiles, one of --what profiles, profiles by a language model in place of joined
texts. --alignment takes the methods of the papers instead.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.data_options import (
    add_data_options,
    check_data_options,
    make_graph,
    read_dataset,
)
from pyg_irllrec.cli.find_nodes import find_nodes
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.cli.trained_run import (
    copy_extracted,
    keep_data,
    move_own_run,
    own_run_config,
    own_run_paths,
)
from pyg_irllrec.cli.training_options import (
    add_training_options,
    announce_run,
    choose_translation,
    required_texts,
)
from pyg_irllrec.cli.write_recommendations import write_recommendations
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.nn import Recommendation, Recommender
from pyg_irllrec.training import (
    InteractionDataModule,
    RunFolder,
    fit,
    fitting_cutoffs,
    parse_device,
)
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils import map_interactions
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.folder_lock import FolderLock
from pyg_irllrec.utils.node_data import read_ids
from pyg_irllrec.utils.printable import printable


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run(args), 'continue with --resume')


def run(args: argparse.Namespace) -> None:
    parse_device(args.device)
    # Else a second run would put its data in the place of those of the first.
    with FolderLock(args.out):
        train_and_recommend(args)


def train_and_recommend(args: argparse.Namespace) -> None:
    paths, staged = own_run_paths(args.out), args.out / '.new'
    shutil.rmtree(staged, ignore_errors=True)  # What a killed run has left.
    try:
        train_on(read(args, paths.data, own_run_paths(staged).data), args, staged)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def read(args: argparse.Namespace, kept: Path, staged: Path) -> InteractionDataset:
    """The data that the run keeps, if it is resumed. Others are read to a place of
    their own: the earlier run keeps its data until all else is known to be right."""
    if args.resume:
        try:
            return read_dataset(args, kept)
        except ValueError:
            pass  # Other files, which may hold the same: training compares them.
    return read_dataset(args, staged)


def train_on(
    dataset: InteractionDataset, args: argparse.Namespace, staged: Path
) -> None:
    paths = own_run_paths(args.out)
    data = make_graph(dataset, args, args.intents, args.profiles)
    check_validation(data)
    users, k = choose_users(args, dataset[0], data), choose_k(args, data)
    preset = choose_preset(data, args.backbone, args.alignment)
    choose_translation(preset, args.translation)
    interactions = InteractionDataModule(data, seed=args.seed, **preset['data'])
    torch.manual_seed(args.seed)
    model = build_model(data, args.backbone, args.alignment, preset)
    folder = RunFolder(paths.model)
    config, new = own_run_config(args), own_run_paths(staged)
    for path, copy in ((args.intents, new.intents), (args.profiles, new.profiles)):
        if path is not None:  # It may be that of the earlier run.
            copy_extracted(path, copy)
    aside = folder.open(config, args.resume)
    # A move that was killed has left data without a model.
    if not args.resume and (aside or (paths.data / 'processed').exists()):
        aside = move_own_run(args.out, aside)
    announce_run(folder, aside, args.resume)
    if not folder.has_checkpoint:
        keep_data(args.out, staged)
    result = fit(
        model,
        interactions,
        folder.path,
        epochs=args.epochs,
        ks=fitting_cutoffs(model.num_items),
        seed=args.seed,
        device=args.device,
        resume=args.resume and folder.has_checkpoint,
        progress=not args.quiet,
        **preset['fit'],
    )
    print(', '.join(f'{name} {value:.4f}' for name, value in result.test.items()))
    if args.alignment == 'auto' and args.item_text and model.features is None:
        print('texts are left out: they have nothing to do with the interactions')
    if model.blend_weight is not None:
        print(f'scores are a blend: {describe_blend(model)}')
    with atomic_write(args.out / 'metrics.json') as file:
        json.dump(result.test, file, indent=2)
    # Nothing that a user has rated, be it held out or disliked.
    best = model.recommend(users, k, exclude=map_interactions(dataset[0], data))
    ids = read_ids(data, 'user'), read_ids(data, 'item')
    made_from = {'best_epoch': result.best_epoch, 'fingerprint': result.fingerprint}
    write_recommendations(
        args.out / 'recommendations.csv', users, best, *ids, made_from
    )
    show(best, users, data)
    if short := int((best.item < 0).any(dim=1).sum()):
        print(f'\n{short} of {len(users)} users have fewer than {k} items left')


def check_validation(data: HeteroData) -> None:
    rates = data[RATES]
    if rates.val_edge_label_index.size(1) == 0:
        most = int(rates.edge_index[0].bincount().max())
        raise ValueError(
            '--interactions must hold users with 5 interactions or more (liked ones, '
            'with --min-rating): of fewer none is held out for validation, got at most '
            f'{most} per user to train on'
        )


def describe_blend(model: Recommender) -> str:
    names = ['graph', *(type(each).__name__ for each in model.companions)]
    weights = model.blend_weight.tolist()
    return ', '.join(f'{name} {weight:.2f}' for name, weight in zip(names, weights))


def choose_users(
    args: argparse.Namespace, whole: HeteroData, data: HeteroData
) -> Tensor:
    """All users where none is named."""
    ids = read_ids(data, 'user')
    if not args.recommend_for:
        return torch.arange(len(ids))
    dropped = read_ids(whole, 'user')
    return torch.tensor(find_nodes('--recommend-for', args.recommend_for, ids, dropped))


def choose_k(args: argparse.Namespace, data: HeteroData) -> int:
    num_items = data['item'].num_nodes
    if args.k is not None and args.k > num_items:
        raise ValueError(
            f'--k must be at most the number of items, {num_items}, got {args.k}'
        )
    return args.k or min(10, num_items)


def show(best: Recommendation, users: Tensor, data: HeteroData, most: int = 5) -> None:
    user_ids, item_ids = read_ids(data, 'user'), read_ids(data, 'item')
    text = data['item'].text if 'text' in data['item'] else None
    for user, items in zip(users[:most].tolist(), best.item.tolist()):
        print(f'\nUser {printable(user_ids[user])}')
        for rank, item in enumerate((i for i in items if i >= 0), start=1):
            name = '' if text is None else f'  {printable(text[item])}'
            print(f'{rank:>4}  {printable(item_ids[item])}{name}')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--out', type=Path, required=True, metavar='DIR')
    add('--intents', type=Path, metavar='FILE', help='of extract_intents.py, .jsonl')
    add(
        '--profiles',
        type=Path,
        metavar='FILE',
        help='of extract_intents.py --what profiles, .jsonl',
    )
    add(
        '--recommend-for',
        nargs='+',
        default=[],
        metavar='ID',
        help='users by their ids (default: all)',
    )
    add('--k', type=positive_int, metavar='K', help='items per user (default: 10)')
    add_data_options(parser)
    add_training_options(parser, alignment='auto', translation='moments', epochs=100)
    args = parser.parse_args(argv)
    check_data_options(parser, args)
    check_alignment(parser, args)
    return args


def check_alignment(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    given = {'profile': bool(args.item_text), 'intent': args.intents is not None}
    for option, path in (('--intents', args.intents), ('--profiles', args.profiles)):
        if path is not None and not args.item_text:
            parser.error(f'{option} needs --item-text')
    needed = required_texts(args.backbone, args.alignment)
    for text, option in (('profile', '--item-text'), ('intent', '--intents')):
        if text in needed and not given[text]:
            parser.error(
                f'--backbone {args.backbone} --alignment {args.alignment} needs '
                f'{option}'
            )


if __name__ == '__main__':
    sys.exit(main())
