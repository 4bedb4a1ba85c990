r"""Time an epoch of negative sampling, and an evaluation that ranks all items.

    python -m benchmarks.sampling_eval --json FILE
    python -m benchmarks.sampling_eval --root DIR --json FILE

Peers: the package, and the Python loops of most public code in a lean form. The loops
draw all negatives at once and redraw those that are interactions, and score 1024 users
at once. The graph is the authors' amazon (with --root, the folder of their datasets) or
a random one of its size with a long tail. Takes about a minute on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import Case, Job, Peer, Values
from pyg_irllrec.datasets import IRLLRecDataset
from pyg_irllrec.training import TripletLoader, evaluate
from pyg_irllrec.utils import UserItems

LOOP = 'python loop'
SAMPLE = 'UserItems.sample_negatives'
KS = (5, 10, 20)
# Numbers of users, items, training interactions and test interactions.
AMAZON = (11_000, 9_332, 120_464, 40_106)
QUICK = (300, 200, 3_000, 1_000)


class Split(NamedTuple):
    train: UserItems
    test: UserItems


def cases(args: argparse.Namespace) -> list[Case]:
    repeats = 2 if args.quick else 5
    # Negatives are random, so peers are checked when they are prepared, not compared.
    samplers = [Peer(name, None) for name in (LOOP, SAMPLE, 'TripletLoader')]
    return [
        Case('sampling', samplers, repeats),
        Case(
            'evaluation',
            [Peer(LOOP), Peer('evaluate', 1e-6)],
            repeats,
        ),
    ]


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    split = (
        authors(args.root) if args.root else drawn(*(QUICK if args.quick else AMAZON))
    )
    split = Split(*(items.to(device) for items in split))
    return Job(sampling(impl, split) if case == 'sampling' else evaluation(impl, split))


def authors(root: str) -> Split:
    data = IRLLRecDataset(root, 'amazon')[0]
    size = data['user'].num_nodes, data['item'].num_nodes
    rates = data['user', 'rates', 'item']
    pairs = rates.edge_index, rates.test_edge_label_index
    return Split(*(UserItems(part, *size) for part in pairs))


def drawn(num_users: int, num_items: int, num_train: int, num_test: int) -> Split:
    """Distinct random interactions with long tails, split at random."""
    generator = torch.Generator().manual_seed(0)
    number = num_train + num_test

    def draw(size: int) -> Tensor:
        weight = torch.arange(10.0, size + 10) ** -0.7
        return torch.multinomial(weight, 2 * number, True, generator=generator)

    key = (draw(num_users) * num_items + draw(num_items)).unique()
    key = key[torch.randperm(key.numel(), generator=generator)[:number]]
    pairs = torch.stack([key // num_items, key % num_items])
    parts = pairs.split([num_train, num_test], dim=1)
    return Split(*(UserItems(part, num_users, num_items) for part in parts))


def sampling(impl: str, split: Split) -> Callable[[], Values]:
    train = split.train
    if impl == 'TripletLoader':
        loader = TripletLoader(train)
        return lambda: {'batches': torch.tensor(sum(1 for _ in loader))}
    users = torch.arange(train.num_users, device=train.degree.device)
    users = users.repeat_interleave(train.degree)
    if impl == SAMPLE:
        check_ranks(train, users[:: max(1, users.numel() // 200)])
        sample = partial(train.sample_negatives, users)
    else:
        # A set is faster than the dok_matrix that many projects use.
        known = set(zip(users.tolist(), train.item.tolist()))
        sample = partial(loop_negatives, users.tolist(), known, train.num_items)
    check_true(sample(), users, train)
    return lambda: {'negative': sample()}


def loop_negatives(
    users: list[int], known: set[tuple[int, int]], num_items: int
) -> Tensor:
    generator = np.random.default_rng()
    negatives = generator.integers(num_items, size=len(users)).tolist()
    for place, user in enumerate(users):
        while (user, negatives[place]) in known:
            negatives[place] = int(generator.integers(num_items))
    return torch.tensor(negatives)


def check_ranks(train: UserItems, users: Tensor) -> None:
    """Check that a plain loop over each user's missing items finds the same negatives
    from the same random draws."""
    device = users.device
    one, other = (torch.Generator(device).manual_seed(1) for _ in range(2))
    negatives = train.sample_negatives(users, one).tolist()
    draws = torch.rand(users.shape, dtype=torch.float64, device=device, generator=other)
    for user, draw, negative in zip(users.tolist(), draws.tolist(), negatives):
        own = set(train.lookup(torch.tensor([user], device=device))[1].tolist())
        missing = [item for item in range(train.num_items) if item not in own]
        expected = missing[min(int(draw * len(missing)), len(missing) - 1)]
        if negative != expected:
            raise AssertionError(
                f'user {user} must get item {expected}, got {negative}'
            )


def check_true(negatives: Tensor, users: Tensor, train: UserItems) -> None:
    key, known = (
        users * train.num_items + items.to(users.device)
        for items in (negatives, train.item)
    )
    if bool(torch.isin(key, known).any()):
        raise AssertionError('a negative is an interaction')


def evaluation(impl: str, split: Split) -> Callable[[], Values]:
    user, item = embeddings(split.test)
    if impl == 'evaluate':
        rank = partial(evaluate, user, item, split.test, split.train, KS)
    else:
        train, test = (items_of_each(items) for items in split)
        labels = [set(items) for items in test]
        rank = partial(loop_evaluate, user, item, labels, train)
    return lambda: {
        name: torch.tensor(value, dtype=torch.float64) for name, value in rank().items()
    }


def embeddings(test: UserItems) -> tuple[Tensor, Tensor]:
    """Random embeddings that contain some of the answers. Without hits, all metrics
    would be 0 and nothing would be compared."""
    generator = torch.Generator().manual_seed(0)
    device = test.degree.device
    user, item = (
        torch.randn(size, 32, generator=generator).to(device)
        for size in (test.num_users, test.num_items)
    )
    row, label = test.lookup(torch.arange(test.num_users, device=device))
    return user.index_add(0, row, item[label], alpha=0.5), item


def items_of_each(items: UserItems) -> list[list[int]]:
    return [part.tolist() for part in items.item.split(items.degree.tolist())]


def loop_evaluate(
    user: Tensor,
    item: Tensor,
    labels: list[set[int]],
    train: list[list[int]],
    batch_size: int = 1024,
) -> dict[str, float]:
    users = [u for u, wanted in enumerate(labels) if wanted]
    totals = np.zeros(2 * len(KS))
    for start in range(0, len(users), batch_size):
        batch = users[start : start + batch_size]
        rows: list[int] = []
        masked: list[int] = []
        for row, u in enumerate(batch):
            rows.extend([row] * len(train[u]))
            masked.extend(train[u])
        score = user[batch] @ item.t()
        score[rows, masked] = -torch.inf
        for u, top in zip(batch, score.topk(max(KS)).indices.tolist()):
            totals += loop_metrics(top, labels[u])
    names = [f'{metric}@{k}' for metric in ('recall', 'ndcg') for k in KS]
    return dict(zip(names, (totals / len(users)).tolist()))


def loop_metrics(top: list[int], wanted: set[int]) -> list[float]:
    hit = np.array([item in wanted for item in top])
    gain = 1 / np.log2(np.arange(2, max(KS) + 2))
    recall = [hit[:k].sum() / len(wanted) for k in KS]
    ndcg = [(hit[:k] * gain[:k]).sum() / gain[: min(k, len(wanted))].sum() for k in KS]
    return recall + ndcg


def targets(rows: list[dict[str, Any]]) -> list[str]:
    at = [('sampling', SAMPLE, 20), ('evaluation', 'evaluate', 8)]
    return [
        harness.target(
            f'speedup of {case}', harness.ratio(rows, case, LOOP, fast), least
        )
        for case, fast, least in at
    ]


if __name__ == '__main__':
    parser = harness.parser(__doc__)
    parser.add_argument('--root', metavar='DIR', help="folder of the authors' datasets")
    arguments = parser.parse_args()
    sys.exit(
        harness.main('sampling_eval', prepare, cases(arguments), arguments, targets)
    )
