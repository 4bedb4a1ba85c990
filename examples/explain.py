r"""Why these items: a trained run of own_data.py or irllrec.py in words.

    python examples/explain.py --run runs/movies --user 1 --k 3
    python examples/explain.py --run runs/movies --user 1 --item 588
    python examples/explain.py --run runs/synthetic-lightgcn-full-seed0

For each user: what is known of the user, the intents in words, the prototypes (latent
intents) that the user leans to, and the items recommended, each with the same and with
the items of the user that are most like it. Then the strongest prototypes of users and
of items with the nodes nearest to them. --out is the intent map: users and items in the
plane, coloured by the prototype that they lean to most. Users and items are named by
their own ids. The run must have intents (--alignment intents or full).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import irllrec
import matplotlib
import numpy as np
import own_data
import torch
from irllrec import build_model, choose_preset, positive_int, said_plainly
from matplotlib import pyplot as plt
from plane import in_plane
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.explain import ActivePrototype, IntentExplainer, NodeExplanation
from pyg_irllrec.nn import Recommender
from pyg_irllrec.training import load_weights
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.node_data import SIDES, read_ids


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return said_plainly(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    model, data, known = open_run(args.run)
    ids = {side: read_ids(data, side) for side in SIDES}
    users = find('--user', args.user or ids['user'][:1], ids['user'])
    items = find('--item', args.item, ids['item'])
    if args.k > model.num_items:
        raise ValueError(
            f"'--k' must be at most the number of items, {model.num_items}, got "
            f'{args.k}'
        )
    explain = IntentExplainer(model, data, exclude=known)
    if items:
        chosen = [items] * len(users)
    else:
        best = model.recommend(torch.tensor(users), args.k, exclude=known).item
        chosen = [[item for item in row if item >= 0] for row in best.tolist()]
    for user, row in zip(users, chosen, strict=True):
        show_user(explain, user, row)
    for side in SIDES:
        show_prototypes(explain, side, args.prototypes)
    path = args.out or args.run / 'intent_map.png'
    draw(explain, {'user': users, 'item': chosen[0]}, ids, path)
    print(f'\nThe intent map is {path}')


def open_run(folder: Path) -> tuple[Recommender, HeteroData, Tensor]:
    """The model, its graph, and the interactions that are not to be recommended."""
    if (folder / 'model' / 'config.json').is_file():
        options = argparse.Namespace(**read_config(folder / 'model'))
        dataset = own_data.read(
            options, folder / 'data', item_id=options.items_id, sep=options.sep
        )
        data = own_data.prepare(dataset, options)
        if own_data.hash_intents(options.intents) != options.intents_sha256:
            raise ValueError(
                f'{options.intents} must be as it was when {folder} was trained'
            )
        preset = own_data.own_preset(options.backbone, options.alignment)
        known = own_data.known(dataset, data)
        checkpoint = folder / 'model' / 'best.ckpt'
    elif (folder / 'config.json').is_file():
        options = argparse.Namespace(**read_config(folder))
        texts = irllrec.TEXTS[options.alignment]
        data = irllrec.load_data(
            options.dataset, options.root, texts, options.data_seed
        )
        preset = choose_preset(
            options.backbone, options.dataset, options.alignment, options.preset
        )
        known = data['user', 'rates', 'item'].edge_index
        checkpoint = folder / 'best.ckpt'
    else:
        raise FileNotFoundError(
            f"'--run' must be a folder of own_data.py or irllrec.py, got {folder} "
            '(no config.json)'
        )
    model = build_model(data, options.backbone, options.alignment, preset)
    load_weights(model, checkpoint)
    return model, data, known


def read_config(folder: Path) -> dict[str, Any]:
    config = {'intents': None, 'intents_sha256': None}  # Earlier runs had none.
    config |= json.loads((folder / 'config.json').read_text())
    for name in ('interactions', 'items', 'intents', 'root'):
        if config.get(name) is not None:
            config[name] = Path(config[name])
    return config


def find(option: str, names: Sequence[Any], ids: Sequence[Any]) -> list[int]:
    """Nodes by their ids, which come from the command line as text, each once."""
    nodes = {str(known): node for node, known in enumerate(ids)}
    for name in names:
        if str(name) not in nodes:
            raise ValueError(
                f"'{option}' must name a node of the run, got {name} ({len(ids)} "
                f'nodes, such as {ids[0]})'
            )
    return list(dict.fromkeys(nodes[str(name)] for name in names))


def show_user(explain: IntentExplainer, user: int, items: Sequence[int]) -> None:
    told = explain.node('user', user)
    print(f'\nUser {told.id}')
    show_node(told, '  ')
    for item in items:
        why = explain.recommendation(user, item)
        place = f'{why.rank}.' if why.rank else 'Chosen before:'
        print(f'\n  {place} {shorten(named(why.item))} (score {why.score:.2f})')
        show_node(why.item, '     ', text=False)
        for similar, cosine in why.similar:
            print(f'     like {shorten(named(similar), 60)} ({cosine:.2f})')


def show_node(told: NodeExplanation, indent: str, text: bool = True) -> None:
    if text:
        print(f'{indent}{shorten(told.text)}')
    if told.intents:
        print(f'{indent}intents in words: {shorten(told.intents)}')
    for active in told.active_prototypes:
        print(f'{indent}leans to {words(active)}, {active.lift:.1f} times the mean')


def show_prototypes(explain: IntentExplainer, side: str, most: int) -> None:
    """Those that the most nodes lean to, each wording once."""
    print(f'\nLatent intents of {side}s')
    by_words = {}
    lead = Counter(explain.lift(side).argmax(dim=1).tolist())
    for number, _ in lead.most_common():
        each = explain.prototypes(side)[number]
        by_words.setdefault(frozenset(each.words), each)
    for each in list(by_words.values())[:most]:
        print(f'  {", ".join(each.words)}')
        for text in each.texts:
            print(f'     {shorten(text)}')


def named(told: NodeExplanation) -> str:
    return f'{told.id}: {told.text}'


def words(active: ActivePrototype) -> str:
    return ', '.join(active.prototype.words)


def shorten(text: str, most: int = 88) -> str:
    return text if len(text) <= most else f'{text[: most - 3]}...'


def draw(
    explain: IntentExplainer,
    marked: dict[str, Sequence[int]],
    ids: dict[str, Sequence[Any]],
    path: Path,
) -> None:
    """Users and items in the plane, side by side."""
    figure, both = plt.subplots(1, 2, figsize=(14, 8.5), layout='constrained')
    for axes, side in zip(both, SIDES, strict=True):
        embedding = explain.embedding(side)
        shown = sample(len(embedding), marked[side])
        (at,) = in_plane(embedding[shown])
        draw_side(axes, explain, side, at, shown)
        mark(axes, at, [str(ids[side][node]) for node in marked[side]])
    with atomic_write(path, 'wb') as file:
        figure.savefig(file, format='png', dpi=110)
    plt.close(figure)


def sample(num_nodes: int, first: Sequence[int], most: int = 2000) -> list[int]:
    """Some nodes, those that are to be marked first."""
    drawn = torch.randperm(num_nodes, generator=torch.Generator().manual_seed(0))
    return list(dict.fromkeys([*first, *drawn.tolist()]))[:most]


def draw_side(
    axes: plt.Axes,
    explain: IntentExplainer,
    side: str,
    at: np.ndarray,
    shown: list[int],
) -> None:
    """Nodes by what they lean to most; the ten meanings that most do, in colour."""
    lead = explain.lift(side)[shown].argmax(dim=1).tolist()
    prototypes = explain.prototypes(side)
    meaning = [', '.join(sorted(prototypes[k].words)) for k in lead]
    largest = [name for name, _ in Counter(meaning).most_common(10)]
    rest = ~np.isin(meaning, largest)
    axes.scatter(*at[rest].T, s=10, c='lightgrey', linewidths=0, label='others')
    for number, name in enumerate(largest):
        mine = at[np.array(meaning) == name]
        axes.scatter(*mine.T, s=16, color=f'C{number}', linewidths=0, label=name)
    axes.set(xticks=[], yticks=[])
    axes.set_title(f'{side.capitalize()}s, by the latent intent that they lean to most')
    axes.legend(
        loc='upper center',
        bbox_to_anchor=(0.5, -0.01),
        ncols=2,
        frameon=False,
        markerscale=2,
    )


def mark(axes: plt.Axes, at: np.ndarray, names: list[str]) -> None:
    """The first points, with their names."""
    for point, name in zip(at, names, strict=False):
        axes.scatter(*point, s=120, facecolors='none', edgecolors='black', zorder=3)
        axes.annotate(
            name,
            point,
            xytext=(7, 5),
            textcoords='offset points',
            weight='bold',
            bbox={
                'boxstyle': 'round,pad=0.1',
                'fc': 'white',
                'ec': 'none',
                'alpha': 0.7,
            },
        )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--run', type=Path, required=True, metavar='DIR')
    add('--user', nargs='+', default=[], metavar='ID', help='(default: the first)')
    add('--item', nargs='+', default=[], metavar='ID', help='(default: the best)')
    add('--k', type=positive_int, default=3, help='items a user (default: 3)')
    add(
        '--prototypes',
        type=positive_int,
        default=5,
        metavar='N',
        help='latent intents that are shown a side (default: 5)',
    )
    add('--out', type=Path, metavar='PNG', help='(default: DIR/intent_map.png)')
    return parser.parse_args(argv)


if __name__ == '__main__':
    matplotlib.use('Agg')
    sys.exit(main())
