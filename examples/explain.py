r"""Why these items: a trained run of own_data.py or irllrec.py in words.

    python examples/explain.py --run runs/books-intents --recommend-for anna --k 3
    python examples/explain.py --run runs/books-intents --recommend-for anna \
        --why 0195153448
    python examples/explain.py --run runs/synthetic-lightgcn-full-seed0

For each user: the text and the intents of the user in words, the prototypes (latent
intents) that the user leans to, and the items recommended, each with the same and with
the items of the user that are most like it. Then the strongest prototypes of users and
of items with the nodes nearest to them. --out is the intent map: users and items in the
plane, coloured by the prototype that they lean to most. Users and items are named by
their own ids. A run without intents (--alignment none, profile or reconstruction) has
no prototypes and no map: its items are explained by those that are like them.

The run holds all that is needed. Options of the data that are given again must be those
that it was trained with.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.data_options import CHOICES, FILES, add_data_options
from pyg_irllrec.cli.find_nodes import find_nodes
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.cli.trained_run import open_trained_run
from pyg_irllrec.explain import ActivePrototype, IntentExplainer, NodeExplanation
from pyg_irllrec.plot import draw_intent_map
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.node_data import read_ids
from pyg_irllrec.utils.printable import printable


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    names = (*FILES, *CHOICES, 'intents', 'profiles')
    given = {name: value for name, value in vars(args).items() if name in names}
    model, data, exclude = open_trained_run(args.run, given)
    ids = {side: read_ids(data, side) for side in SIDES}
    asked = args.recommend_for or ids['user'][:1]
    users = find_nodes('--recommend-for', asked, ids['user'])
    items = find_nodes('--why', args.why, ids['item'])
    sources = ('text', 'profile_text', 'intent_text')
    if not any(name in data['user'] for name in sources):
        raise ValueError(
            f'{args.run} must be a run with texts to explain by, got none (own_data.py '
            'has them with --item-text)'
        )
    explain = IntentExplainer(model, data, exclude=exclude)
    if items:
        chosen = [items] * len(users)
    else:
        k = min(args.k, model.num_items)
        best = model.recommend(torch.tensor(users), k, exclude=exclude).item
        chosen = [[item for item in row if item >= 0] for row in best.tolist()]
        if short := sum(len(row) < k for row in chosen):
            print(f'{short} of {len(users)} users have fewer than {k} items left')
    for user, row in zip(users, chosen, strict=True):
        show_user(explain, user, row)
    if not explain.prototypes('user'):
        print('\nThe run has no intents: no prototypes and no map')
        return
    for side in SIDES:
        show_prototypes(explain, side, args.prototypes)
    marked = {
        'user': {node: ids['user'][node] for node in users},
        'item': {node: ids['item'][node] for node in chosen[0]},
    }
    figure = draw_intent_map(explain, marked)
    path = args.out or args.run / 'intent_map.png'
    with atomic_write(path, 'wb') as file:
        figure.savefig(file, format='png', dpi=110)
    print(f'\nThe intent map is {printable(path)}')


def show_user(explain: IntentExplainer, user: int, items: Sequence[int]) -> None:
    node = explain.node('user', user)
    print(f'\nUser {printable(node.id)}')
    show_node(node, '  ')
    for item in items:
        why = explain.recommendation(user, item)
        place = f'{why.rank}.' if why.rank else 'Chosen before:'
        print(f'\n  {place} {shorten(title(why.item))} (score {why.score:.2f})')
        show_node(why.item, '     ', text=False)
        for similar, cosine in why.similar:
            print(f'     like {shorten(title(similar), 60)} ({cosine:.2f})')


def show_node(node: NodeExplanation, indent: str, text: bool = True) -> None:
    if text:
        print(f'{indent}{shorten(node.text)}')
    if node.intents:
        print(f'{indent}intents in words: {shorten(node.intents)}')
    for active in node.active_prototypes:
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
        print(f'  {printable(", ".join(each.words))}')
        for text in each.texts:
            print(f'     {shorten(text)}')


def title(node: NodeExplanation) -> str:
    return f'{node.id}: {node.text}'


def words(active: ActivePrototype) -> str:
    return printable(', '.join(active.prototype.words))


def shorten(text: str, most: int = 88) -> str:
    text = printable(text)
    return text if len(text) <= most else f'{text[: most - 3]}...'


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--run', type=Path, required=True, metavar='DIR')
    add(
        '--recommend-for',
        nargs='+',
        default=[],
        metavar='ID',
        help='users by their ids (default: the first)',
    )
    add(
        '--why',
        nargs='+',
        default=[],
        metavar='ID',
        help='items by their ids (default: those recommended)',
    )
    add('--k', type=positive_int, default=3, help='items per user (default: 3)')
    add(
        '--prototypes',
        type=positive_int,
        default=5,
        metavar='N',
        help='latent intents per side that are shown (default: 5)',
    )
    add('--out', type=Path, metavar='PNG', help='(default: DIR/intent_map.png)')
    for what in ('intents', 'profiles'):
        add(
            f'--{what}',
            type=Path,
            default=argparse.SUPPRESS,
            metavar='FILE',
            help=f'the {what} of the run, given again',
        )
    add_data_options(parser, required=False)
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
