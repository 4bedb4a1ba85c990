r"""Compare how well closed forms and graph models recommend, with and without texts.

    python -m benchmarks.quality --root DIR --out RUNS
    python -m benchmarks.quality --root DIR --out RUNS --what noise --data ml-100k
    python -m benchmarks.quality --root DIR --out RUNS --report --json FILE --png FILE
    python -m benchmarks.quality --smoke

Each arm is tuned on each dataset, with the same number of trials, on the validation
part of the first seed. It is then run once per seed and tested at its best validation
epoch. Each run is one JSON file under --out. Existing runs are not run again, so repeat
the command to continue after an interruption. --part 1/3, 2/3 and 3/3 share the work
between machines. --report runs nothing and shows the existing runs; cells without runs
stay empty. See benchmarks/_quality_arms.py for the names of arms. --smoke checks in a
minute that everything runs, on a small embedded dataset.

Comparisons (--what):

- table: closed forms, LightGCN with and without texts, and the default of the package
- backbones: all backbones without texts, with texts and with shuffled texts
- recipe: all backbones with their authors' settings, untuned (use --epochs 1000)
- ablation: the losses, the parts of the alignment, and intents as nodes
- noise, sparsity: with random training interactions added, with some removed
- cold: the arms of table; look at Recall by quarter of users
- width, intents: sizes of embeddings, numbers of prototypes
- shuffled: real against shuffled texts, for all uses of texts
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import harness, real_data
from benchmarks._quality_arms import Arm, parse_arm
from benchmarks._quality_report import collect, draw, report
from benchmarks._quality_store import Case, Store
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command

CLOSED = ('popularity', 'itemknn', 'ease', 'ease-profile', 'ease-shuffled')
TABLE = (
    *CLOSED,
    'lightgcn-bpr-none',
    'lightgcn-softmax-none',
    'lightgcn-softmax-features',
    'lightgcn-softmax-shuffledfeatures',
    'auto-none',
    'auto',
    'auto-shuffled',
)
BACKBONES = ('lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf')
ROBUST = ('ease', 'ease-profile', 'auto-none', 'auto')

ARMS: dict[str, tuple[str, ...]] = {
    'table': TABLE,
    'backbones': tuple(
        f'{backbone}-softmax-{text}'
        for backbone in BACKBONES
        for text in ('none', 'features', 'shuffledfeatures')
    ),
    'recipe': tuple(
        f'{backbone}-bpr-{text}-recipe'
        for backbone in BACKBONES
        for text in ('none', 'profile', 'full')
    ),
    'ablation': tuple(
        f'lightgcn-{loss}-{text}'
        for loss in ('bpr', 'softmax', 'directau')
        for text in ('none', 'features', 'profile', 'intents', 'full', 'nodes')
    ),
    'noise': ROBUST,
    'sparsity': ROBUST,
    'cold': TABLE,
    'width': tuple(
        f'lightgcn-softmax-{text}-d{width}'
        for width in (32, 64, 128, 256)
        for text in ('none', 'features')
    ),
    'intents': tuple(f'lightgcn-softmax-full-k{count}' for count in (8, 32, 128)),
    'shuffled': (
        'ease',
        'ease-profile',
        'ease-shuffled',
        'lightgcn-softmax-none',
        'lightgcn-softmax-features',
        'lightgcn-softmax-shuffledfeatures',
        'lightgcn-softmax-profile',
        'lightgcn-softmax-shuffled',
        'lightgcn-softmax-full',
        'lightgcn-softmax-shuffledfull',
        'lightgcn-softmax-nodes',
        'lightgcn-softmax-shufflednodes',
    ),
}
"""The arms of each comparison."""

SMOKE = (
    *TABLE,
    'lightgcn-softmax-profile-blend',
    'lightgcn-softmax-full-d16-k8',
    'sgl-bpr-none-d16',
    'lightgcn-directau-nodes-d16',
)
TEXTLESS = ('amazon', 'movie')

Cell = tuple[Case, Arm]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: smoke(args) if args.smoke else run_all(args))


def smoke(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        args.out = Path(folder)
        args.data, args.seeds, args.trials, args.epochs = ['toy'], [0, 1], 2, 2
        args.arms = args.arms or SMOKE
        run_all(args)


def run_all(args: argparse.Namespace) -> None:
    store = Store(args.out, args.root, args.trials, args.epochs, args.device)
    cells = cells_of(args)
    if not args.report:
        if args.root is None and (away := set(args.data) - set(real_data.EMBEDDED)):
            raise ValueError(
                f"'--root' must be the folder of all datasets for '--data {min(away)}'"
            )
        run_cells(store, cells[args.part[0] :: args.part[1]], args.seeds, args.jobs)
    rows = collect(store, cells, args.seeds)
    print(report(rows))
    if args.json is not None:
        harness.write(args.json, 'quality', rows)
    if args.png is not None:
        draw(rows, args.png)


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cases with the arms that they have texts for, ordered by dataset."""
    changes: dict[str, Sequence[dict[str, float]]] = {
        'noise': [{'noise': share} for share in (0.0, 0.1, 0.3)],
        'sparsity': [{'keep': share} for share in (1.0, 0.5, 0.25)],
    }
    cases = [
        Case(name, args.split, **change)
        for name, change in product(args.data, changes.get(args.what, [{}]))
    ]
    arms = [parse_arm(name) for name in args.arms or ARMS[args.what]]
    return [
        (case, arm)
        for case in cases
        for arm in arms
        if arm.text == 'none' or case.data not in TEXTLESS
    ]


def run_cells(
    store: Store, cells: Sequence[Cell], seeds: Sequence[int], jobs: int
) -> None:
    if jobs == 1:
        for cell in cells:
            print(run_cell(store, seeds, cell), file=sys.stderr, flush=True)
        return
    with ProcessPoolExecutor(
        jobs,
        mp_context=get_context('spawn'),
        initializer=torch.set_num_threads,
        initargs=(1,),
    ) as pool:
        waiting = [pool.submit(partial(run_cell, store, seeds), cell) for cell in cells]
        for done in as_completed(waiting):
            print(done.result(), file=sys.stderr, flush=True)


def run_cell(store: Store, seeds: Sequence[int], cell: Cell) -> str:
    """Tune an arm and run it for all seeds."""
    case, arm = cell
    shown = f'{case.name}, {arm.name}'
    try:
        params = store.tune(case, arm, seeds[0])
    except FileNotFoundError as error:
        return f'{shown}: left out, {error}'
    if params is None:
        return f'{shown}: left out, every trial failed'
    runs = [
        store.run(case, arm, params, seed)
        for seed in (seeds if case.draws(arm) else seeds[:1])
    ]
    recalls = [f'{run["test"]["recall"]:.4f}' for run in runs if 'test' in run]
    return f'{shown}: Recall@20 {", ".join(recalls)}'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--what', choices=tuple(ARMS), default='table', help='the comparison')
    add('--data', nargs='+', choices=tuple(real_data.READERS), default=['synthetic'])
    add('--split', choices=real_data.SPLITS, default='given')
    add('--arms', nargs='+', metavar='ARM', help='run these arms instead')
    add('--root', type=Path, metavar='DIR', help='folder of all datasets')
    add('--out', type=Path, metavar='RUNS', default=Path('runs/quality'))
    add('--seeds', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    add('--trials', type=positive_int, default=10, help='trials per arm (default: 10)')
    add('--epochs', type=positive_int, default=200, help='most epochs (default: 200)')
    add('--jobs', type=positive_int, default=1, help='processes of one thread each')
    add('--part', type=part, default=(0, 1), metavar='I/N', help='share of the cells')
    add('--device', default='cpu')
    add('--report', action='store_true', help='run nothing, show existing runs')
    add('--smoke', action='store_true', help='only check that everything runs')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    add('--png', type=Path, metavar='FILE', help='draw the table here')
    return parser.parse_args(argv)


def part(text: str) -> tuple[int, int]:
    """Parse I/N into the first cell and the step to the next."""
    first, _, count = text.partition('/')
    if not (first.isdecimal() and count.isdecimal() and 1 <= int(first) <= int(count)):
        raise argparse.ArgumentTypeError(f'must be I/N with 1 <= I <= N, got {text!r}')
    return int(first) - 1, int(count)


if __name__ == '__main__':
    sys.exit(main())
