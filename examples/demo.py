r"""The demo: LightGCN with and without intents on the embedded dataset.

    python examples/demo.py

Train both models, print their test metrics, show for three users what they want and
which items they get, and write checkpoints, metrics (JSON and CSV) and a picture to
runs/demo.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import IRLLRec
from pyg_irllrec.plot import project_to_plane
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import FitResult, InteractionDataModule, RunFolder, fit
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = {'none': 'LightGCN', 'full': 'LightGCN with intents'}
METRICS = ('recall@5', 'recall@10', 'recall@20', 'ndcg@5', 'ndcg@10', 'ndcg@20')


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    add('--seed', type=int, default=0, help='seed of all random draws (default: 0)')
    add(
        '--epochs',
        type=positive_int,
        default=100,
        help='maximum number of epochs per model (default: 100)',
    )
    add(
        '--out',
        type=Path,
        default=Path('runs/demo'),
        metavar='DIR',
        help='folder for all results (default: runs/demo)',
    )
    args = parser.parse_args(argv)
    return run_command(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    import_optional('matplotlib', 'the picture of the demo', 'plot')
    data = SyntheticIntents(seed=args.seed)[0]
    describe_data(data)
    results, models = {}, {}
    for alignment, name in NAMES.items():
        print(f'\nTraining {name} ...')
        models[alignment], results[alignment] = train(data, alignment, args)
    print()
    print_table(results)
    show_users(models['full'], data, users=(0, 1, 2))
    write_metrics(results, args.out)
    draw(models['full'], results, data, args.out / 'demo.png')
    print(f'\nCheckpoints, metrics and demo.png are in {args.out}')


def describe_data(data: HeteroData) -> None:
    rates = data['user', 'rates', 'item']
    print(
        f'{data["user"].num_nodes} users, {data["item"].num_nodes} items, '
        f'{rates.edge_index.size(1)} training interactions, generated from '
        f'{len(data.intent_names)} intents. The texts of the first user:\n'
        f'  {data["user"].profile_text[0]}\n  {data["user"].intent_text[0]}'
    )


def train(
    data: HeteroData, alignment: str, args: argparse.Namespace
) -> tuple[IRLLRec, FitResult]:
    preset = get_preset('lightgcn', 'synthetic', alignment)
    torch.manual_seed(args.seed)
    model = build_model(data, 'lightgcn', alignment, preset)
    interactions = InteractionDataModule(data, seed=args.seed, **preset['data'])
    run = RunFolder(args.out / NAMES[alignment].lower().replace(' ', '-'))
    run.open({'seed': args.seed})  # An earlier run is moved aside.
    result = fit(
        model,
        interactions,
        run.path,
        epochs=args.epochs,
        seed=args.seed,
        device='cpu',
        **preset['fit'],
    )
    return model, result


def print_table(results: dict[str, FitResult]) -> None:
    print(f'{"test":<22}' + ''.join(f'{name:>11}' for name in METRICS))
    for alignment, result in results.items():
        values = ''.join(f'{result.test[name]:>11.4f}' for name in METRICS)
        print(f'{NAMES[alignment]:<22}{values}')
    gains = (
        results['full'].test[name] / max(results['none'].test[name], 1e-9) - 1
        for name in METRICS
    )
    print(f'{"gain":<22}' + ''.join(f'{gain:>+11.1%}' for gain in gains))


def show_users(model: IRLLRec, data: HeteroData, users: tuple[int, ...]) -> None:
    explain = IntentExplainer(model, data)
    train = data['user', 'rates', 'item'].edge_index
    test = data['user', 'rates', 'item'].test_edge_label_index
    items = model.recommend(torch.tensor(users), k=5, exclude=train).item
    for user, row in zip(users, items.tolist(), strict=True):
        print(f'\nUser {user}: {data["user"].intent_text[user]}')
        for active in explain.node('user', user, num_prototypes=2).active_prototypes:
            print(f'  learned intent: {", ".join(active.prototype.words)}')
        wanted = set(test[1, test[0] == user].tolist())
        for item in row:
            hit = '*' if item in wanted else ' '
            print(f'  {hit} item {item:<4}{data["item"].profile_text[item]}')
    print('\n* an item that the user chose in the test part')


def write_metrics(results: dict[str, FitResult], out: Path) -> None:
    table = {NAMES[alignment]: result.test for alignment, result in results.items()}
    with atomic_write(out / 'metrics.json') as file:
        json.dump(table, file, indent=2)
        file.write('\n')
    with atomic_write(out / 'metrics.csv') as file:
        writer = csv.writer(file)
        writer.writerow(['model', *METRICS])
        for name, values in table.items():
            writer.writerow([name, *(values[metric] for metric in METRICS)])


@torch.no_grad()
def draw(
    model: IRLLRec, results: dict[str, FitResult], data: HeteroData, path: Path
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.6), layout='constrained')
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    draw_curves(left, results)
    draw_map(right, model, data)
    with atomic_write(path, 'wb') as file:
        figure.savefig(file, format='png', dpi=120)


def draw_curves(axes: Axes, results: dict[str, FitResult]) -> None:
    for alignment, result in results.items():
        epochs = [row['epoch'] for row in result.history]
        recall = [row['recall@20'] for row in result.history]
        axes.plot(epochs, recall, marker='.', label=NAMES[alignment])
        best = max(recall)
        axes.annotate(
            f'{best:.3f}',
            (result.best_epoch, best),
            textcoords='offset points',
            xytext=(0, 5),
            ha='center',
        )
    axes.set(xlabel='epoch', ylabel='Recall@20', title='Validation')
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(loc='lower right', frameon=False)


def draw_map(axes: Axes, model: IRLLRec, data: HeteroData) -> None:
    """Draw users, items and user prototypes in the plane, coloured by main intent."""
    import matplotlib
    from matplotlib.lines import Line2D

    user, item = model.eval().get_embeddings()
    prototypes = model.backbone.user_prototypes.weight.t()
    at_user, at_item, at_prototype = project_to_plane([user, item, prototypes])
    colours = matplotlib.colormaps['tab20'].colors
    sides = (('user', at_user, 'o', 9), ('item', at_item, 's', 14))
    for side, at, marker, size in sides:
        main = data[side].intent_share.argmax(dim=1).tolist()
        axes.scatter(
            *at.T,
            c=[colours[k % len(colours)] for k in main],
            marker=marker,
            s=size,
            alpha=0.6,
            linewidths=0,
        )
    axes.scatter(
        *at_prototype.T, marker='*', s=150, c='black', edgecolors='white', zorder=3
    )
    main = data['user'].intent_share.argmax(dim=1)
    for k, name in enumerate(data.intent_names):
        mine = at_user[(main == k).numpy()]
        if len(mine) > 0:
            write_label(axes, mine, name, colours[k % len(colours)])
    handles = [
        Line2D([], [], marker=marker, ls='', color='grey', label=label)
        for marker, label in (('o', 'user'), ('s', 'item'), ('*', 'intent prototype'))
    ]
    axes.legend(handles=handles, loc='upper left', frameon=False)
    axes.set(title='Embeddings (t-SNE), coloured by the true main intent')
    axes.set(xticks=[], yticks=[])


def write_label(axes: Axes, points: np.ndarray, text: str, colour: object) -> None:
    """Write a text at the median of points."""
    axes.annotate(
        text,
        np.median(points, axis=0),
        ha='center',
        fontsize=9,
        color='black',
        bbox={'boxstyle': 'round,pad=0.2', 'fc': colour, 'ec': 'none', 'alpha': 0.75},
    )


if __name__ == '__main__':
    sys.exit(main())
