r"""Trains IRLLRec over any backbone, with any alignment, on one dataset.

    python examples/irllrec.py --dataset synthetic --backbone sgl --alignment full
    python examples/irllrec.py --dataset amazon --root DIR --alignment none

Alignments: none (the plain backbone), profile (RLMRec-Con), reconstruction
(RLMRec-Gen), intents (profiles and intents, pairwise) and full (IRLLRec). The backbone
alpharec has no embeddings of its own, only the profiles of items.

The run lies under runs/ (or --out): config.json, best.ckpt, last.ckpt, history.csv
and metrics.json. A run that was stopped goes on with --resume and ends as if it had
never been.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets import IRLLRecDataset, SyntheticIntents
from pyg_irllrec.nn import (
    AlphaRec,
    Backbone,
    IntentAlignmentLoss,
    IRLLRec,
    Recommender,
    RLMRecGen,
)
from pyg_irllrec.presets import BACKBONES, Preset, authors_preset, sound_preset
from pyg_irllrec.training import FitResult, InteractionDataModule, fit, parse_device
from pyg_irllrec.utils import bipartite_edge_index
from pyg_irllrec.utils.files import atomic_write

KS = (5, 10, 20)
BACKBONE_NAMES = (*BACKBONES, 'alpharec')
PRESETS = {'sound': sound_preset, 'authors': authors_preset}
TEXTS = {
    'none': (),
    'profile': ('profile',),
    'reconstruction': ('profile',),
    'intents': ('profile', 'intent'),
    'full': ('profile', 'intent'),
}


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return said_plainly(lambda: print_result(run(args)), 'go on with --resume')


def said_plainly(work: Callable[[], None], hint: str = '') -> int:
    """Runs a command; whatever is wrong with its input is said in one line."""
    warnings.filterwarnings('ignore', message='Sparse ')  # Of torch, once a process.
    # What a transform has to say about the data, without a line of code behind it.
    warnings.formatwarning = lambda message, *_, **__: f'note: {message}\n'
    try:
        work()
    except (ValueError, OSError, ImportError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'stopped: {hint}' if hint else 'stopped', file=sys.stderr)
        return 130
    return 0


def run(args: argparse.Namespace) -> FitResult:
    parse_device(args.device)
    texts = set(TEXTS[args.alignment])
    if args.backbone == 'alpharec':
        texts.add('profile')
    data = load_data(args.dataset, args.root, sorted(texts), args.data_seed)
    check_catalogue(data)
    preset = choose_preset(args.backbone, args.dataset, args.alignment, args.preset)
    if args.translation == 'moments':
        preset['alignment']['translation_impl'] = 'moments'
    training = preset['training']
    interactions = InteractionDataModule(
        data, batch_size=args.batch_size or training.pop('batch_size'), seed=args.seed
    )
    training.pop('batch_size', None)
    torch.manual_seed(args.seed)
    model = build_model(data, args.backbone, args.alignment, preset)
    name = f'{args.dataset}-{args.backbone}-{args.alignment}-seed{args.seed}'
    out = open_run(args, args.out or Path('runs') / name)
    return fit(
        model,
        interactions,
        out,
        epochs=args.epochs,
        ks=KS,
        seed=args.seed,
        device=args.device,
        precision=args.precision,
        # Killed before its first checkpoint, a run starts over, as it began.
        resume=args.resume and (out / 'last.ckpt').is_file(),
        progress=not args.quiet,
        **training,
    )


def load_data(
    dataset: str, root: Path | None, texts: Sequence[str], seed: int = 0
) -> HeteroData:
    if dataset == 'synthetic':
        return SyntheticIntents(seed=seed)[0]
    if root is None:
        raise ValueError(f"--root must name the folder that holds '{dataset}'")
    return IRLLRecDataset(str(root), dataset, require=texts)[0]


def check_catalogue(data: HeteroData) -> None:
    """Before a file is written: there must be as many items as are ranked."""
    if data['item'].num_nodes < max(KS):
        raise ValueError(
            f'the data must hold at least {max(KS)} items for Recall@{max(KS)}, got '
            f'{data["item"].num_nodes}'
        )


def choose_preset(
    backbone: str, dataset: str, alignment: str, name: str = 'sound'
) -> Preset:
    """Tuned hyper-parameters, with sound choices or with the authors' own."""
    # The authors tuned neither AlphaRec nor RLMRec-Gen.
    preset = PRESETS[name](
        'lightgcn' if backbone == 'alpharec' else backbone,
        'yelp' if dataset == 'synthetic' else dataset,
        'none' if alignment == 'reconstruction' else alignment,
    )
    if dataset == 'synthetic':
        preset['training'] |= {'batch_size': 1024, 'check_every': 2, 'patience': 5}
        if 'num_intents' in preset['backbone']:
            preset['backbone']['num_intents'] = 16
    if backbone == 'alpharec':
        kept = ('embedding_dim', 'num_intents')
        values = preset['backbone'].items()
        preset['backbone'] = {key: value for key, value in values if key in kept}
    return preset


def build_model(
    data: HeteroData, backbone: str, alignment: str, preset: Preset
) -> Recommender:
    interactions = data['user', 'rates', 'item'].edge_index
    num_users, num_items = data['user'].num_nodes, data['item'].num_nodes
    edge_index = bipartite_edge_index(interactions, num_users, num_items)
    texts: dict[str, Tensor] = {
        kind: torch.cat([data['user'][kind], data['item'][kind]])
        for kind in TEXTS[alignment]
    }
    encoder = build_backbone(data, backbone, preset)
    if alignment == 'reconstruction':
        l2_weight = preset['model']['l2_weight']
        return RLMRecGen(encoder, edge_index, l2_weight=l2_weight, **texts)
    loss = IntentAlignmentLoss(**preset['alignment'])
    return IRLLRec(encoder, edge_index, alignment=loss, **texts, **preset['model'])


def build_backbone(data: HeteroData, backbone: str, preset: Preset) -> Backbone:
    sizes = data['user'].num_nodes, data['item'].num_nodes
    if backbone == 'alpharec':
        interactions = data['user', 'rates', 'item'].edge_index
        text = data['item']['profile']
        return AlphaRec(*sizes, text, interactions, **preset['backbone'])
    return BACKBONES[backbone](*sizes, **preset['backbone'])


def open_run(args: argparse.Namespace, out: Path) -> Path:
    """The folder of the run. An earlier run is moved aside, never overwritten."""
    config = {
        key: str(value.resolve()) if isinstance(value, Path) else value
        for key, value in vars(args).items()
        if key not in ('out', 'resume', 'quiet', 'device', 'epochs')
    }
    path = out / 'config.json'
    if args.resume:
        if not path.is_file():
            raise FileNotFoundError(f'{out} holds no run to resume (no config.json)')
        check_same_config(json.loads(path.read_text()), config, out)
        return out
    if path.is_file():
        number = 1
        while (aside := out.with_name(f'{out.name}.{number}')).exists():
            number += 1
        out.rename(aside)
        print(f'moved the earlier run to {aside}')
    with atomic_write(path) as file:
        json.dump(config, file, indent=2)
    return out


def check_same_config(old: dict[str, Any], new: dict[str, Any], out: Path) -> None:
    for key, value in new.items():
        if old.get(key) != value:
            option = '--' + key.replace('_', '-')
            raise ValueError(
                f'{out} was begun with {option} {old.get(key)}: resume it with the '
                f'same, got {value}'
            )


def print_result(result: FitResult) -> None:
    columns = [name for name in result.test]
    print(f'\nTest, best epoch {result.best_epoch} by validation Recall')
    print(' '.join(f'{name:>10}' for name in columns))
    print(' '.join(f'{result.test[name]:>10.4f}' for name in columns))
    print(
        f'{result.seconds_per_step * 1000:.1f} ms a training step (median), '
        f'{result.peak_memory_mb:.0f} MB peak memory'
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--dataset', choices=('synthetic', *IRLLRecDataset.names), default='synthetic')
    add(
        '--root',
        type=Path,
        metavar='DIR',
        help='the folder of amazon/, yelp/ and movie/',
    )
    add('--backbone', choices=BACKBONE_NAMES, default='lightgcn')
    add('--alignment', choices=tuple(TEXTS), default='full')
    add(
        '--preset',
        choices=('sound', 'authors'),
        default='sound',
        help='choices of the alignment',
    )
    add(
        '--epochs',
        type=positive_int,
        default=1000,
        help='the most epochs (default: 1000)',
    )
    add('--batch-size', type=positive_int, metavar='B', help='triplets a step')
    add('--seed', type=int, default=0, help='of weights and training (default: 0)')
    add(
        '--data-seed', type=int, default=0, help='of the synthetic dataset (default: 0)'
    )
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    add(
        '--precision',
        choices=('32-true', 'bf16-mixed'),
        default='32-true',
        help='of the text towers (default: 32-true)',
    )
    add(
        '--translation',
        choices=('exact', 'moments'),
        default='exact',
        help='the translation term: exact, or linear in the nodes and approximate',
    )
    add(
        '--out',
        type=Path,
        metavar='DIR',
        help='the folder of the run (default: under runs/)',
    )
    add('--resume', action='store_true', help='go on with the run that was stopped')
    add('--quiet', action='store_true', help='no progress bars')
    return parser.parse_args(argv)


def positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'must be a positive integer, got {text!r}')
    return int(text)


if __name__ == '__main__':
    sys.exit(main())
