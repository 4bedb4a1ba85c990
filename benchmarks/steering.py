r"""Measure how far words move a ranking towards a wanted intent, and at what cost.

    python -m benchmarks.steering --root DIR --json FILE --png FILE

For each intent, all users get their best 20 items with that intent raised, by
``Bundle.recommend(intents={intent: 1.0}, dial=dial)``. The table has the share of the
20 items that have the intent, and Recall@20 of the test interactions. Test interactions
are not steered, so the loss of Recall is the cost for users who did not want the
intent. In the arm ``own``, each user gets the intent that is most overrepresented among
their training items: the cost for users who did want it.

- ``synthetic``: the embedded dataset. An item has an intent if at least half of its
  true share belongs to it. The words are the name of the intent.
- ``ml-100k``: MovieLens 100K. An item has its genres as intents. The words are the name
  of a genre. Texts are titles, genres and plots.
- ``ml-100k-plots``: the same, but texts are only titles and plots.

Arms: ``words`` is the method of bundles, the mean of ``text`` (cosines of texts) and
``space`` (cosines of embeddings with those of the items whose texts are nearest).
``name`` raises the latent intent of the bundle whose items agree most with the true
intent, as a user would choose it from the list.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from benchmarks import harness
from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import MovieLens, SyntheticIntents
from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._intents import intents_of
from pyg_irllrec.serving._steer import WordMatch, item_bonus
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.transforms import (
    BinarizeRatings,
    EncodeText,
    KCore,
    ProfileVectors,
    SplitInteractions,
)
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils import UserItems

DIALS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
ARMS = ('words', 'text', 'space', 'name', 'own')
CASES = ('synthetic', 'ml-100k', 'ml-100k-plots')
K = 20
LEAST_ITEMS = 20
"""Genres with fewer items cannot fill a list."""

Row = dict[str, Any]


class Task(NamedTuple):
    """A dataset with known intents."""

    data: HeteroData
    encoder: TfidfEncoder
    intents: list[str]
    """The words that steer."""
    carries: Tensor
    """Which items have each intent, of shape (C, I)."""


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run_all(args))


def run_all(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    rows: list[Row] = []
    for case in args.data:
        task = read(case, args.root)
        for seed in args.seeds:
            rows += run(case, task, seed, args.epochs)
            print(f'{case}, seed {seed}: {rows[-1]}', file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'steering', rows)
    if args.png is not None:
        draw(rows, args.png)


# Tasks.


def read(case: str, root: Path) -> Task:
    return _synthetic() if case == 'synthetic' else _ml_100k(root / 'ml-100k', case)


def _synthetic() -> Task:
    data = SyntheticIntents()[0]
    names = ('profile', 'intent')
    texts = [t for side in SIDES for name in names for t in data[side][f'{name}_text']]
    encoder = TfidfEncoder().fit(texts)
    for name in names:
        data = EncodeText(encoder, f'{name}_text', name)(data)
    carries = data['item'].intent_share.t() >= 0.5
    return Task(data, encoder, list(data.intent_names), carries)


def _ml_100k(folder: Path, case: str) -> Task:
    with tempfile.TemporaryDirectory() as processed:
        data = MovieLens(folder, '100k', processed_root=processed)[0]
    data = KCore(1)(BinarizeRatings(4)(data))
    data = SplitInteractions('random', seed=0)(data)
    lines = (folder / 'norm_item_text.jsonl').read_text(encoding='utf-8').splitlines()
    films = {film['item']: film for film in map(json.loads, lines)}
    films_of = [films[each] for each in data['item'].id.tolist()]
    data['item'].title = [film['title'] for film in films_of]
    data['item'].text = [
        _text(film, with_genres=case == 'ml-100k') for film in films_of
    ]
    encoder = TfidfEncoder().fit(data['item'].text)
    data['item'].profile = torch.from_numpy(encoder(data['item'].text))
    data = ProfileVectors()(data)
    genres = sorted({genre for film in films_of for genre in film['genres']})
    carries = torch.tensor([[g in film['genres'] for film in films_of] for g in genres])
    known = torch.from_numpy(encoder(genres)).any(dim=1)
    kept = (known & (carries.sum(dim=1) >= LEAST_ITEMS)).nonzero().view(-1).tolist()
    return Task(data, encoder, [genres[k] for k in kept], carries[kept])


def _text(film: dict[str, Any], with_genres: bool) -> str:
    genres = ', '.join(film['genres']) if with_genres else ''
    return '. '.join(filter(None, (film['title'], genres, film.get('plot'))))


# Steering.


def run(case: str, task: Task, seed: int, epochs: int) -> list[Row]:
    bundle = train(task, seed, epochs)
    test = UserItems(
        bundle.data[RATES].test_edge_label_index, len(bundle.users), len(bundle.items)
    )
    users = test.degree.nonzero().view(-1)
    relevant = torch.zeros(len(users), len(bundle.items), dtype=torch.bool)
    relevant[test.lookup(users)] = True
    scores = standardise(bundle.ranker.score(users))
    scores[bundle.seen.lookup(users)] = -torch.inf
    own = own_intent(bundle, task)[users]
    rows = []
    for arm in ARMS:
        bonus = bonuses(bundle, task, 'words' if arm == 'own' else arm)
        pairs = list(zip(bonus, task.carries))
        if arm == 'own':  # One row per user instead of one for all users.
            pairs = [(bonus[own], task.carries[own])]
        for dial in DIALS:
            found = [measure(scores + dial * b, c, relevant) for b, c in pairs]
            row: Row = {'case': case, 'arm': arm, 'seed': seed, 'dial': dial}
            for name, values in zip(('share', 'recall@20'), zip(*found)):
                row[name] = statistics.fmean(values)
            rows.append(row | {'num_intents': len(task.intents)})
    return rows


def train(task: Task, seed: int, epochs: int) -> Bundle:
    preset = choose_preset(task.data)
    torch.manual_seed(seed)
    model = build_model(task.data, preset=preset)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            InteractionDataModule(task.data, seed=seed, **preset['data']),
            folder,
            epochs=epochs,
            seed=seed,
            device='cpu',
            progress=False,
            **preset['fit'],
        )
    rates = task.data[RATES]
    known = torch.cat([rates.edge_index, rates.val_edge_label_index], dim=1)
    return Bundle(model, task.data, encoder=task.encoder, seen=known)


def bonuses(bundle: Bundle, task: Task, arm: str) -> Tensor:
    """The amount that each intent adds to standardised scores, of shape (C, I)."""
    if arm == 'name':
        share = standardise(intents_of(bundle).item_share.t())
        likeness = share @ standardise(task.carries.float()).t()
        return share[likeness.argmax(dim=0)]
    match = WordMatch(bundle)
    found = []
    for words in task.intents:
        if arm == 'words':
            bonus = item_bonus(bundle, {words: 1.0})
            assert bonus is not None
            found.append(bonus)
        else:
            text = match.by_text(words)
            found.append(text if arm == 'text' else match.by_embedding(text))
    return standardise(torch.stack(found))


def own_intent(bundle: Bundle, task: Task) -> Tensor:
    """The intent that is most overrepresented among each user's training items."""
    user, item = bundle.data[RATES].edge_index
    carries = task.carries.t().float()
    count = torch.zeros(len(bundle.users), len(task.intents))
    count.index_add_(0, user, carries[item])
    share = count / user.bincount(minlength=len(bundle.users)).clamp(min=1)[:, None]
    return (share - carries.mean(dim=0)).argmax(dim=1)


def measure(scores: Tensor, carries: Tensor, relevant: Tensor) -> tuple[float, float]:
    """The share of the best items that have an intent, and their recall."""
    best = scores.topk(K, dim=1).indices
    hits = relevant.gather(1, best).sum(dim=1) / relevant.sum(dim=1)
    carried = carries.expand_as(scores).gather(1, best)
    return float(carried.float().mean()), float(hits.mean())


# Results.


def table(rows: Sequence[Row]) -> str:
    """Share / recall of each arm at each dial, as means over seeds."""
    head = ['data', 'arm', *(f'dial {dial:g}' for dial in DIALS)]
    lines = [f'| {" | ".join(head)} |', '|---' * len(head) + '|']
    for case in dict.fromkeys(row['case'] for row in rows):
        for arm in dict.fromkeys(row['arm'] for row in rows):
            cells = [
                f'{share:.2f} / {recall:.3f}'
                for _, share, recall in curve(rows, case, arm)
            ]
            lines.append(f'| {case} | {arm} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def curve(rows: Sequence[Row], case: str, arm: str) -> list[tuple[float, float, float]]:
    """Each dial with its share and recall, as means over seeds."""
    points = []
    for dial in DIALS:
        mine = [
            row
            for row in rows
            if (row['case'], row['arm'], row['dial']) == (case, arm, dial)
        ]
        share, recall = (
            statistics.fmean(row[name] for row in mine)
            for name in ('share', 'recall@20')
        )
        points.append((dial, share, recall))
    return points


def draw(rows: Sequence[Row], path: Path) -> None:
    from matplotlib.figure import Figure

    cases = list(dict.fromkeys(row['case'] for row in rows))
    figure = Figure(figsize=(4 * len(cases), 3.6), layout='constrained')
    axes = figure.subplots(1, len(cases), squeeze=False)[0]
    for place, (axis, case) in enumerate(zip(axes, cases)):
        for arm in dict.fromkeys(row['arm'] for row in rows):
            points = curve(rows, case, arm)
            _, share, recall = zip(*points)
            width = 2.5 if arm == 'words' else 1.2
            axis.plot(share, recall, marker='o', markersize=4, lw=width, label=arm)
            if arm == 'words':
                for dial, x, y in points:
                    axis.annotate(
                        f'{dial:g}', (x, y), xytext=(4, 4), textcoords='offset points'
                    )
        axis.set(title=case, xlabel='share of the top 20 with the intent')
        axis.set(xlim=(0, 1.05), ylim=(0, None))
        if place == 0:
            axis.set_ylabel('Recall@20')
            axis.legend(title='numbers: the dial')
    figure.savefig(path, dpi=110)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--root', type=Path, default=Path('.'), help='folder of all datasets')
    add('--data', nargs='+', choices=CASES, default=CASES)
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--epochs', type=positive_int, default=60, help='most epochs (default: 60)')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    add('--png', type=Path, metavar='FILE', help='draw the rows here')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
