r"""The protocol of the papers: any backbone with any alignment on a named dataset.

    python examples/irllrec.py --dataset synthetic --backbone sgl --alignment full
    python examples/irllrec.py --dataset amazon --root DIR --alignment none

Alignments: none (the plain backbone), profile (RLMRec-Con), reconstruction
(RLMRec-Gen), intents (profiles and intents, pairwise) and full (IRLLRec). The backbone
alpharec has no learned embeddings: it reads the profiles of items. For your own files,
use pyg-irllrec train.

The folder of the run (under runs/, or --out) contains config.json, best.ckpt,
last.ckpt, history.csv, metrics.json and a bundle for pyg-irllrec recommend, explain and
serve.
--resume continues a run that was stopped, with the same result as without the
interruption.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import IRLLRecDataset, SyntheticIntents
from pyg_irllrec.presets import (
    ALIGNMENT_TEXTS,
    ALIGNMENTS,
    BACKBONES,
    VARIANTS,
    get_preset,
)
from pyg_irllrec.serving import Bundle
from pyg_irllrec.training import (
    FitResult,
    InteractionDataModule,
    RunFolder,
    fit,
    fitting_cutoffs,
    parse_device,
)

CONFIG = (
    *('dataset', 'root', 'data_seed', 'backbone', 'alignment', 'preset', 'seed'),
    *('translation', 'precision', 'batch_size'),
)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: print_result(run(args)), 'continue with --resume')


def run(args: argparse.Namespace) -> FitResult:
    parse_device(args.device)
    data = load_dataset(args)
    preset = get_preset(args.backbone, args.dataset, args.alignment, args.preset)
    if args.translation == 'moments':
        preset['loss']['translation_impl'] = 'moments'
    if args.batch_size is not None:
        preset['data']['batch_size'] = args.batch_size
    interactions = InteractionDataModule(data, seed=args.seed, **preset['data'])
    torch.manual_seed(args.seed)
    model = build_model(data, args.backbone, args.alignment, preset)
    name = f'{args.dataset}-{args.backbone}-{args.alignment}-seed{args.seed}'
    folder = RunFolder(args.out or Path('runs') / name)
    config = {option: getattr(args, option) for option in CONFIG}
    moved = folder.open(config, args.resume, places=('root',))
    if moved is not None:
        print(f'moved the earlier run to {moved}')
    result = fit(
        model,
        interactions,
        folder.path,
        epochs=args.epochs,
        ks=fitting_cutoffs(model.num_items),
        seed=args.seed,
        device=args.device,
        precision=args.precision,
        resume=args.resume and folder.has_checkpoint,
        progress=not args.quiet,
        **preset['fit'],
    )
    Bundle(model, data, metrics=result.test).save(folder.path / 'bundle')
    return result


def load_dataset(args: argparse.Namespace) -> HeteroData:
    if args.dataset == 'synthetic':
        return SyntheticIntents(seed=args.data_seed)[0]
    if args.root is None:
        raise ValueError(
            f"--root must be the folder that contains '{args.dataset}/', got none"
        )
    texts = ALIGNMENT_TEXTS[args.alignment]
    if args.backbone == 'alpharec':
        texts = tuple({*texts, 'profile'})
    return IRLLRecDataset(str(args.root), args.dataset, texts=sorted(texts))[0]


def print_result(result: FitResult) -> None:
    print(f'\nTest metrics of epoch {result.best_epoch}, the best on validation')
    print(' '.join(f'{name:>10}' for name in result.test))
    print(' '.join(f'{value:>10.4f}' for value in result.test.values()))
    if result.seconds_per_step is not None:  # Otherwise, no step was left to train.
        print(f'{result.seconds_per_step * 1000:.1f} ms per training step (median)')
    print(f'{result.peak_memory_mb:.0f} MB peak memory')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = ('synthetic', *IRLLRecDataset.names)
    add('--dataset', choices=names, default='synthetic', help='(default: synthetic)')
    add('--root', type=Path, metavar='DIR', help='folder that contains the dataset')
    add(
        '--data-seed',
        type=int,
        default=0,
        help='seed of the synthetic dataset (default: 0)',
    )
    add(
        '--backbone',
        choices=tuple(BACKBONES),
        default='lightgcn',
        help='graph model (default: lightgcn)',
    )
    add(
        '--alignment',
        choices=ALIGNMENTS[1:],
        default='full',
        help='use of texts, see above (default: full)',
    )
    add(
        '--preset',
        choices=VARIANTS,
        default='sound',
        help="hyper-parameters: this package's or the authors' (default: sound)",
    )
    add(
        '--translation',
        choices=('exact', 'moments'),
        default='exact',
        help='translation term: exact, or approximate and linear in the number of '
        'nodes (default: exact)',
    )
    add(
        '--batch-size',
        type=positive_int,
        metavar='B',
        help='triplets per step (default: that of the preset)',
    )
    add(
        '--precision',
        choices=('32-true', 'bf16-mixed'),
        default='32-true',
        help='bf16-mixed: text towers in bfloat16 (default: 32-true)',
    )
    add(
        '--epochs',
        type=positive_int,
        default=1000,
        help='maximum number of epochs (default: 1000)',
    )
    add(
        '--seed',
        type=int,
        default=0,
        help='seed of weights and training (default: 0)',
    )
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    add(
        '--out',
        type=Path,
        metavar='DIR',
        help='folder of the run (default: a folder under runs/)',
    )
    add('--resume', action='store_true', help='continue a run that was stopped')
    add('--quiet', action='store_true', help='draw no progress bars')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
