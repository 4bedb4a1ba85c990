r"""Trains IRLLRec over any backbone, with any alignment, on one dataset.

    python examples/irllrec.py --dataset synthetic --backbone sgl --alignment full
    python examples/irllrec.py --dataset amazon --root DIR --alignment none

Alignments: none (the plain backbone), profile (RLMRec-Con), reconstruction
(RLMRec-Gen), intents (profiles and intents, pairwise) and full (IRLLRec); or auto, the
recipe for data that nobody has tuned for, with the texts that are there. The backbone
alpharec has no embeddings of its own, only the profiles of items.

The run lies under runs/ (or --out): config.json, best.ckpt, last.ckpt, history.csv
and metrics.json. A run that was stopped continues with --resume and ends as if it had
never been.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.load_dataset import DATASET_NAMES, load_dataset
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.cli.training_options import (
    add_training_options,
    choose_translation,
    open_run,
    preset_by_name,
    required_texts,
)
from pyg_irllrec.presets import VARIANTS
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
    texts = required_texts(args.backbone, args.alignment)
    data = load_dataset(args.dataset, args.root, texts, args.data_seed)
    preset = preset_by_name(data, args)
    choose_translation(preset, args.translation)
    if args.batch_size is not None:
        preset['data']['batch_size'] = args.batch_size
    interactions = InteractionDataModule(data, seed=args.seed, **preset['data'])
    torch.manual_seed(args.seed)
    model = build_model(data, args.backbone, args.alignment, preset)
    name = f'{args.dataset}-{args.backbone}-{args.alignment}-seed{args.seed}'
    folder = RunFolder(args.out or Path('runs') / name)
    config = {option: getattr(args, option) for option in CONFIG}
    open_run(folder, config, args.resume, places=('root',))
    return fit(
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


def print_result(result: FitResult) -> None:
    print(f'\nTest, best epoch {result.best_epoch} by validation Recall')
    print(' '.join(f'{name:>10}' for name in result.test))
    print(' '.join(f'{value:>10.4f}' for value in result.test.values()))
    print(
        f'{result.seconds_per_step * 1000:.1f} ms a training step (median), '
        f'{result.peak_memory_mb:.0f} MB peak memory'
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--dataset', choices=DATASET_NAMES, default='synthetic')
    add(
        '--root',
        type=Path,
        metavar='DIR',
        help='the folder of amazon/, yelp/ and movie/',
    )
    add('--data-seed', type=int, default=0, help='of the synthetic dataset')
    add('--preset', choices=VARIANTS, default='sound', help='the hyper-parameters')
    add('--batch-size', type=positive_int, metavar='B', help='triplets per step')
    add(
        '--precision',
        choices=('32-true', 'bf16-mixed'),
        default='32-true',
        help='of the text towers (default: 32-true)',
    )
    add('--out', type=Path, metavar='DIR', help='(default: under runs/)')
    add_training_options(parser, alignment='full', translation='exact', epochs=1000)
    args = parser.parse_args(argv)
    if args.alignment == 'auto' and args.preset == 'authors':
        parser.error('--preset authors needs an alignment of theirs, not auto')
    return args


if __name__ == '__main__':
    sys.exit(main())
