r"""Compare latent intents with the true intents of the embedded dataset.

    python -m benchmarks.prototypes --seeds 0 1 2 3 4

Both arms are LightGCN with full alignment: "paper" has the prototypes of the paper;
"clusters" adds a temperature and a loss term, so that prototypes represent clusters of
texts. The table has the normalised mutual information (NMI) between a node's strongest
prototype and its largest true intent, for all nodes and for those with one clear
intent; the share of nodes in the largest prototype; and Recall and NDCG. For reference
it also has the clusters themselves and Bayes' rule, applied to the process that
generated the data: the most that training data reveal about a user.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import HeteroData

from benchmarks import harness
from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.datasets._ingest.themes import THEMES
from pyg_irllrec.datasets.synthetic_intents import _draw_shares
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import IRLLRec
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.typing import RATES, SIDES

CLEAR = 0.7
"""A node has a clear intent if the share of its largest intent is above this."""

ARMS = ('paper', 'clusters')

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run_all(args))


def run_all(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    data = SyntheticIntents()[0]
    rows = [reference('truth', data, true_intents(data)), bayes(data)]
    arms = {
        'paper': {'intent_temperature': None, 'prototype_weight': 0.0},
        'clusters': {
            'intent_temperature': args.temperature,
            'prototype_weight': args.weight,
        },
    }
    for seed in args.seeds:
        for arm in args.arms:
            rows += run(arm, arms[arm], data, seed, args)
            print(f'{arm}, seed {seed}: {rows[-1]}', file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'prototypes', rows)


def run(
    arm: str,
    options: dict[str, Any],
    data: HeteroData,
    seed: int,
    args: argparse.Namespace,
) -> list[Row]:
    r"""Train a model. Return the rows of its prototypes and of k-means of its
    embeddings."""
    preset = get_preset('lightgcn', 'synthetic', 'full')
    preset['backbone'] |= {
        'num_intents': args.num_intents,
        'intent_temperature': options['intent_temperature'],
    }
    preset['model'] |= {'prototype_weight': options['prototype_weight']}
    torch.manual_seed(seed)
    model = build_model(data, 'lightgcn', 'full', preset)
    rows = []
    assert isinstance(model, IRLLRec)
    if model.cluster is not None:
        given = model.cluster.split([model.num_users, model.num_items])
        rows.append(reference('clusters of texts', data, given))
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model,
            InteractionDataModule(data, seed=seed, **preset['data']),
            folder,
            epochs=args.epochs,
            seed=seed,
            device='cpu',
            progress=False,
            **preset['fit'] | {'patience': args.patience},
        )
    explain = IntentExplainer(model, data)
    count = data['user'].intent_share.size(1)
    clustered = [k_means(explain.embedding(side), count) for side in SIDES]
    leads = [explain.lift(side).argmax(dim=1) for side in SIDES]
    found = {
        'seed': seed,
        'recall@20': result.test['recall@20'],
        'ndcg@20': result.test['ndcg@20'],
        'val recall@20': max(row['recall@20'] for row in result.history),
        'best_epoch': result.best_epoch,
        **options,
        'num_intents': args.num_intents,
    }
    rows.append(reference(f'{arm}: k-means of embeddings', data, clustered) | found)
    rows.append(reference(f'{arm}: prototypes', data, leads) | found)
    return rows


def k_means(embedding: Tensor, count: int) -> Tensor:
    found = KMeans(count, n_init=5, random_state=0).fit_predict(
        normalize(embedding).numpy()
    )
    return torch.from_numpy(found)


def reference(name: str, data: HeteroData, leads: Sequence[Tensor]) -> Row:
    r"""The agreement of each node's strongest intent with its largest true intent."""
    row: Row = {'arm': name}
    for side, lead in zip(SIDES, leads):
        share, truth = data[side].intent_share.max(dim=1)
        clear = share > CLEAR
        row[f'{side} nmi'] = normalized_mutual_info_score(truth, lead)
        row[f'{side} nmi, clear'] = normalized_mutual_info_score(
            truth[clear], lead[clear]
        )
        row[f'{side} largest'] = float(lead.bincount().max() / len(lead))
    return row


def true_intents(data: HeteroData) -> list[Tensor]:
    return [data[side].intent_share.argmax(dim=1) for side in SIDES]


def bayes(data: HeteroData, noise: float = 0.1, draws: int = 40000) -> Row:
    r"""The most probable largest intent of each user by Bayes' rule, given the words of
    each intent, the true shares of all items and the distribution of users. Items have
    their true intents."""
    count = data['user'].intent_share.size(1)
    user, item = data[RATES].edge_index.numpy()
    prior = _draw_shares(np.random.default_rng(0), draws, count, most=3)
    # Popularity as estimated from training interactions.
    popularity = np.bincount(item, minlength=data['item'].num_nodes) + 0.5
    chance = data['item'].intent_share.numpy().T * popularity
    chance /= chance.sum(axis=1, keepdims=True)
    by_item = np.log(
        (1 - noise) * prior @ chance + noise * popularity / popularity.sum()
    )
    by_word = np.log((1 - noise) * prior + noise / count)
    words = np.array(
        [
            [_mentions(profile, intent, k) for k in range(count)]
            for profile, intent in zip(
                data['user'].profile_text, data['user'].intent_text
            )
        ]
    )
    largest = prior.argmax(axis=1)
    best = []
    for node in range(len(words)):
        log = by_word @ words[node] + by_item[:, item[user == node]].sum(axis=1)
        belief = np.bincount(largest, np.exp(log - log.max()), minlength=count)
        best.append(int(belief.argmax()))
    leads = [torch.tensor(best), true_intents(data)[1]]
    row = reference("Bayes' rule", data, leads)
    return {name: value for name, value in row.items() if not name.startswith('item')}


def _mentions(profile: str, intent: str, k: int) -> int:
    r"""The number of words in a user's texts that belong to an intent."""
    theme = THEMES[k]
    things, about = profile.split('; mostly about ')
    named = sum(thing in things for thing in theme.things)
    return named + (theme.name in about) + (theme.motive in intent)


def table(rows: Sequence[Row]) -> str:
    """The mean of each arm over its seeds."""
    columns = (
        *('user nmi', 'item nmi', 'user nmi, clear', 'item nmi, clear'),
        *('user largest', 'item largest', 'recall@20', 'ndcg@20'),
    )
    lines = ['| | ' + ' | '.join(columns) + ' |', '|---' * (len(columns) + 1) + '|']
    for arm in dict.fromkeys(row['arm'] for row in rows):
        mine = [row for row in rows if row['arm'] == arm]
        cells = [
            f'{statistics.mean(row[name] for row in mine):.4f}'
            if name in mine[0]
            else ''
            for name in columns
        ]
        lines.append(f'| {arm} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--seeds', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    add('--arms', nargs='+', choices=ARMS, default=ARMS)
    add('--num-intents', type=positive_int, default=16)
    add('--temperature', type=float, default=0.1)
    add('--weight', type=float, default=0.03)
    add(
        '--patience',
        type=positive_int,
        default=5,
        help='stop after this many checks without improvement (default: 5)',
    )
    add('--epochs', type=positive_int, default=1000, help='most epochs (default: 1000)')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
