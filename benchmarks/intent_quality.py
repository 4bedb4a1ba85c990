r"""What intents are worth: MovieLens, extracted by TF-IDF, beside profiles alone.

    python -m benchmarks.intent_quality --root DIR --seeds 0 1 2 3 --jobs 2
    python -m benchmarks.intent_quality --root DIR --split time

DIR holds ratings.csv and movies.csv of MovieLens. Ratings of at least 4 are liked. For
every seed the interactions are split, intents are extracted from the training part by
ExtractiveModel (no language model) and LightGCN is trained on CPU, once for each
variant: the alignments none, profile, intents and full with the preset of "own" data,
and "amazon", which is "intents" with Amazon's preset (four times the weight of intents,
no dropout). Prints a table for people and writes, with --json, one for
machines. About 20 minutes per seed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from benchmarks import harness
from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.presets import get_preset
from pyg_irllrec.text import (
    ExtractiveModel,
    IntentExtractor,
    TfidfEncoder,
    choose_evidence,
)
from pyg_irllrec.training import InteractionDataModule, fit, fitting_cutoffs
from pyg_irllrec.transforms import (
    AddIntents,
    BinarizeRatings,
    EncodeText,
    KCore,
    ProfileTexts,
    SplitInteractions,
)

VARIANTS = ('none', 'profile', 'intents', 'full', 'amazon')
METRICS = ('recall@20', 'ndcg@20')

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    spawn = get_context('spawn')
    with ProcessPoolExecutor(args.jobs, mp_context=spawn) as pool:
        of_seeds = list(pool.map(partial(run_seed, args), args.seeds))
    rows = [row for of_seed in of_seeds for row in of_seed]
    print(table(rows, args.variants, args.seeds))
    for variant in args.variants:
        if len(args.seeds) > 1 and 'profile' in args.variants and variant != 'profile':
            print(difference(rows, variant, 'profile'))
    if args.json is not None:
        harness.write(args.json, 'intent_quality', rows)
    return 0


def run_seed(args: argparse.Namespace, seed: int) -> list[Row]:
    torch.set_num_threads(1)  # One process per seed.
    warnings.simplefilter('ignore')  # Sparse tensors, cold items.
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = load(args, seed, Path(folder))
        for variant in args.variants:
            row = run(data, variant, args, seed, Path(folder) / 'run' / variant)
            rows.append(row)
            shown = ', '.join(f'{name} {row[name]:.4f}' for name in METRICS)
            print(f'seed {seed}, {variant}: {shown}', file=sys.stderr, flush=True)
    return rows


def load(args: argparse.Namespace, seed: int, folder: Path) -> HeteroData:
    """The graph with profiles and with intents that were extracted from its training
    interactions."""
    dataset = InteractionDataset.from_csv(
        args.root / 'ratings.csv',
        folder / 'data',
        user='userId',
        item='movieId',
        rating='rating',
        timestamp='timestamp' if args.split == 'time' else None,
        items=args.root / 'movies.csv',
        item_text=('title', 'genres'),
    )
    split = SplitInteractions(args.split, seed=seed)
    data = Compose([BinarizeRatings(4), KCore(1), split])(dataset[0])
    evidence = choose_evidence(data)
    intents = folder / 'intents.jsonl'
    IntentExtractor(ExtractiveModel(evidence), progress=False)(evidence, intents)
    steps = [
        ProfileTexts(),
        EncodeText(TfidfEncoder()),
        AddIntents(intents),
        EncodeText(TfidfEncoder(), 'intent_text', 'intent'),
    ]
    return Compose(steps)(data)


def run(
    data: HeteroData, variant: str, args: argparse.Namespace, seed: int, out: Path
) -> Row:
    alignment = 'intents' if variant == 'amazon' else variant
    preset = get_preset('lightgcn', 'own', alignment)
    if variant == 'amazon':  # With the same schedule.
        preset = get_preset('lightgcn', 'amazon', alignment) | {
            part: preset[part] for part in ('data', 'fit')
        }
    torch.manual_seed(seed)
    start = time.perf_counter()
    model = build_model(data, 'lightgcn', alignment, preset)
    result = fit(
        model,
        InteractionDataModule(data, seed=seed, **preset['data']),
        out,
        epochs=args.epochs,
        ks=fitting_cutoffs(model.num_items),
        seed=seed,
        device='cpu',
        progress=False,
        **preset['fit'],
    )
    return {
        'seed': seed,
        'variant': variant,
        'split': args.split,
        'best_epoch': result.best_epoch,
        'seconds': time.perf_counter() - start,
        **result.test,
    }


def table(rows: Sequence[Row], variants: Sequence[str], seeds: Sequence[int]) -> str:
    """A line per variant, with every seed and their mean."""
    heads = [*(f'seed {seed}' for seed in seeds), 'mean', 'NDCG@20, mean']
    lines = [
        '| Recall@20 | ' + ' | '.join(heads) + ' |',
        '|---' * (len(heads) + 1) + '|',
    ]
    for variant in variants:
        recall, ndcg = (
            [row[name] for row in rows if row['variant'] == variant] for name in METRICS
        )
        values = [*recall, statistics.mean(recall), statistics.mean(ndcg)]
        numbers = ' | '.join(f'{value:.4f}' for value in values)
        lines.append(f'| {variant} | {numbers} |')
    return '\n'.join(lines)


def difference(rows: Sequence[Row], new: str, old: str) -> str:
    """Of the same seeds, with the standard error of its mean."""
    recall = [
        [row['recall@20'] for row in rows if row['variant'] == name]
        for name in (new, old)
    ]
    each = [a - b for a, b in zip(*recall)]
    error = statistics.stdev(each) / len(each) ** 0.5
    return (
        f'Recall@20, {new} less {old}: {statistics.mean(each):+.4f} (standard error '
        f'{error:.4f}, {len(each)} seeds)'
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--root', type=Path, required=True, metavar='DIR')
    add('--split', choices=('random', 'time'), default='random')
    add('--seeds', nargs='+', type=int, default=[0, 1, 2, 3])
    add('--variants', nargs='+', choices=VARIANTS, default=VARIANTS)
    add('--epochs', type=positive_int, default=100, help='at most (default: 100)')
    add('--jobs', type=positive_int, default=1, help='seeds at a time (default: 1)')
    add('--json', type=Path, metavar='FILE', help='write the rows')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
