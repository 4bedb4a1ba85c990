r"""Measure recommendation of items with only a text, and updates without training.

    python -m benchmarks.cold_items --root DIR --json FILE

:obj:`--what items`: a fifth of the items loses all interactions, and the default model
is trained on the others. All items are then ranked for the users who have such an item
in the test part, by

- :obj:`tower`: the bundle, which embeds these items by their texts;
- :obj:`isolated`: the model alone, in which they are nodes without edges;
- :obj:`text`: cosines with the mean text of a user's training items;
- :obj:`popularity` and :obj:`random`;
- :obj:`trained`: the default model trained with their interactions, an upper bound.

:obj:`--what update`: a tenth of the users, a tenth of the items and a tenth of the
other interactions are left out, and the default model is trained on the rest. Then all
of it is added. The test part is ranked by the old bundle (:obj:`before`), the updated
bundle (:obj:`updated`), and a model trained from scratch on everything
(:obj:`trained`).

Users without texts of their own get the mean vector of their training items. See also
docs/cold.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from benchmarks.harness import write
from benchmarks.real_data import EMBEDDED, HELD_OUT, READERS, load
from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.functional import unit_norm
from pyg_irllrec.nn import Recommender
from pyg_irllrec.serving import Bundle
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.transforms import ProfileVectors
from pyg_irllrec.typing import RATES, SIDES

DATASETS = ('synthetic', 'ml-100k', 'xrec-yelp')
WHAT = ('items', 'update')
K = 20

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--root', type=Path, metavar='DIR', help='folder of all datasets')
    add('--what', nargs='+', choices=WHAT, default=WHAT)
    add('--datasets', nargs='+', choices=READERS, default=DATASETS)
    add('--seed', type=int, default=1, help='chooses what is left out (default: 1)')
    add('--epochs', type=int, default=1000, help='most epochs (default: 1000)')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    args = parser.parse_args()
    if args.root is None and any(name not in EMBEDDED for name in args.datasets):
        parser.error("'--root' must be the folder of the datasets, except for embedded")
    rows: list[Row] = []
    for what in args.what:
        measure = cold_items if what == 'items' else updates
        for name in args.datasets:
            data = load(name, args.root)
            data[RATES].pop('time', None)
            found = measure(data, name in EMBEDDED, args.seed, args.epochs)
            rows += [{'what': what, 'dataset': name, **row} for row in found]
            for row in found:
                print(what, name, row)
    if args.json is not None:
        write(args.json, 'cold_items', rows)
    return 0


# Items with only a text.


def cold_items(data: HeteroData, has_texts: bool, seed: int, epochs: int) -> list[Row]:
    generator = torch.Generator().manual_seed(seed)
    num_users, num_items = sizes_of(data)
    is_cold = draw_mask(num_items, 0.2, generator)
    warm = data.clone()
    for key in ('edge_index', HELD_OUT[0]):
        edges = warm[RATES][key]
        warm[RATES][key] = edges[:, ~is_cold[edges[1]]]
    warm = with_user_texts(warm, has_texts)
    data = with_user_texts(data, has_texts)
    users = torch.arange(num_users)
    start = time.perf_counter()
    bundle = Bundle(train(warm, seed, epochs), warm)
    seen = warm[RATES].edge_index
    text = unit_norm(warm['item'].profile - warm['item'].profile[~is_cold].mean(0))
    taste = unit_norm(dense(seen, (num_users, num_items)) @ text)
    popularity = torch.bincount(seen[1], minlength=num_items).float()
    scores = {
        'tower': bundle.ranker.score(users),
        'isolated': score(bundle.model, users),
        'text': taste @ text.t(),
        # Random numbers below 1 break ties.
        'popularity': popularity
        + torch.rand(num_users, num_items, generator=generator),
        'random': torch.rand(num_users, num_items, generator=generator),
    }
    label = dense(data[RATES][HELD_OUT[1]], (num_users, num_items))
    rows = [
        {'by': by, **items_row(each, label, seen, is_cold)}
        for by, each in scores.items()
    ]
    bound = score(train(data, seed, epochs), users)
    row = items_row(bound, label, data[RATES].edge_index, is_cold)
    seconds = time.perf_counter() - start
    return [*rows, {'by': 'trained', **row, 'seconds': round(seconds, 1)}]


def items_row(scores: Tensor, label: Tensor, seen: Tensor, is_cold: Tensor) -> Row:
    scores = scores.clone()
    scores[seen[0], seen[1]] = -torch.inf
    top = scores.topk(K).indices
    only_cold = scores.masked_fill(~is_cold, -torch.inf)
    return {
        'cold': recall(scores, label * is_cold),
        'cold_among_cold': recall(only_cold, label * is_cold),
        'warm': recall(scores, label * ~is_cold),
        'all': recall(scores, label),
        'share': float(is_cold[top].float().mean()),
    }


# Updates without training.


def updates(data: HeteroData, has_texts: bool, seed: int, epochs: int) -> list[Row]:
    generator = torch.Generator().manual_seed(seed)
    sizes = sizes_of(data)
    is_new = [draw_mask(size, 0.1, generator) for size in sizes]
    # Users are added with their interactions, so a new user must have some.
    is_new[0] &= torch.bincount(data[RATES].edge_index[0], minlength=sizes[0]) > 0
    data = move_new_last(data, is_new)
    old = [int((~each).sum()) for each in is_new]
    edges = data[RATES].edge_index
    arrives = (edges[0] >= old[0]) | (edges[1] >= old[1])
    arrives |= torch.rand(len(arrives), generator=generator) < 0.1
    known = first_nodes(data, old, edges[:, ~arrives])
    known = with_user_texts(known, has_texts)
    model = train(known, seed, epochs)
    before = Bundle(model, known, encoder=encoder_of(data))
    start = time.perf_counter()
    texts = [
        {row: f'{side} {row}' for row in range(first, size)}
        for side, first, size in zip(SIDES, old, sizes)
    ]
    updated = before.update(
        edges[:, arrives], users=texts[0] if has_texts else None, items=texts[1]
    )
    seconds = time.perf_counter() - start
    users, rows = torch.arange(sizes[0]), torch.arange(old[0])
    early = torch.full(sizes, -1e9)
    early[: old[0], : old[1]] = before.ranker.score(rows)
    scores = {
        'before': early,
        'updated': updated.ranker.score(users),
        'trained': score(train(with_user_texts(data, has_texts), seed, epochs), users),
    }
    label = dense(data[RATES][HELD_OUT[1]], sizes)
    is_old_user = users.unsqueeze(1) < old[0]
    is_old_item = torch.arange(sizes[1]) < old[1]
    groups = {
        'all': label,
        'old_user_old_item': label * is_old_user * is_old_item,
        'old_user_new_item': label * is_old_user * ~is_old_item,
        'new_user': label * ~is_old_user,
    }
    found = []
    for by, each in scores.items():
        each[edges[0], edges[1]] = -torch.inf
        row = {name: recall(each, wanted) for name, wanted in groups.items()}
        found.append({'by': by, **row})
    found[1]['seconds'] = round(seconds, 2)
    return found


def move_new_last(data: HeteroData, is_new: Sequence[Tensor]) -> HeteroData:
    r"""Reorder the nodes so that new nodes come last."""
    orders = [each.int().argsort(stable=True) for each in is_new]
    sorted_data = HeteroData()
    for side, order in zip(SIDES, orders):
        sorted_data[side].num_nodes = len(order)
        for name in ('profile', 'intent'):
            sorted_data[side][name] = data[side][name][order]
    places = [order.argsort() for order in orders]
    for key in ('edge_index', *HELD_OUT):
        ends = zip(places, data[RATES][key])
        sorted_data[RATES][key] = torch.stack([place[end] for place, end in ends])
    return sorted_data


def first_nodes(data: HeteroData, sizes: Sequence[int], train: Tensor) -> HeteroData:
    first = HeteroData()
    for side, size in zip(SIDES, sizes):
        first[side].num_nodes = size
        for name in ('profile', 'intent'):
            first[side][name] = data[side][name][:size]
    first[RATES].edge_index = train
    for key in HELD_OUT:
        edges = data[RATES][key]
        kept = (edges[0] < sizes[0]) & (edges[1] < sizes[1])
        first[RATES][key] = edges[:, kept]
    return first


def encoder_of(data: HeteroData) -> Callable[[Sequence[str]], np.ndarray[Any, Any]]:
    r"""An encoder that looks up vectors. Its texts are names of nodes."""

    def encode(texts: Sequence[str]) -> np.ndarray[Any, Any]:
        found = []
        for text in texts:
            side, row = text.split()
            found.append(data[side].profile[int(row)].numpy())
        return np.stack(found)

    return encode


# Tables.


def items_table(rows: Sequence[Row]) -> str:
    head = {
        'cold': 'text-only items, among all',
        'cold_among_cold': 'text-only items, among themselves',
        'warm': 'other items, among all',
        'all': 'all items',
    }
    return _table(rows, 'items', head, share='text-only items in the top 20')


def updates_table(rows: Sequence[Row]) -> str:
    head = {
        'all': 'all',
        'old_user_old_item': 'known users and items',
        'old_user_new_item': 'known users, new items',
        'new_user': 'new users',
    }
    return _table(rows, 'update', head, seconds='update')


def _table(rows: Sequence[Row], what: str, head: dict[str, str], **last: str) -> str:
    """A table of recalls with one more column."""
    ((extra, title),) = last.items()
    lines = [
        f'| dataset | ranked by | {" | ".join(head.values())} | {title} |',
        '|---' * (len(head) + 3) + '|',
    ]
    for row in rows:
        if row['what'] != what:
            continue
        value = row.get(extra)
        shown = (
            ''
            if value is None
            else f'{value:.0%}'
            if extra == 'share'
            else (f'{value:.1f} s')
        )
        cells = [f'{row[name]:.3f}' for name in head]
        lines.append(
            f'| {row["dataset"]} | `{row["by"]}` | {" | ".join(cells)} | {shown} |'
        )
    return '\n'.join(lines)


# Shared.


def sizes_of(data: HeteroData) -> tuple[int, int]:
    return data['user'].num_nodes, data['item'].num_nodes


def draw_mask(count: int, share: float, generator: torch.Generator) -> Tensor:
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[torch.randperm(count, generator=generator)[: int(share * count)]] = True
    return chosen


def with_user_texts(data: HeteroData, has_texts: bool) -> HeteroData:
    r"""The graph in which users without texts of their own have the mean vectors of
    their training items."""
    data = data.clone()
    if not has_texts:
        for name in ('profile', 'intent'):
            data['user'].pop(name, None)
        data = ProfileVectors()(data)
        data['user'].intent = data['user'].profile
    return data


def train(data: HeteroData, seed: int, epochs: int) -> Recommender:
    torch.manual_seed(seed)
    preset = choose_preset(data)
    model = build_model(data, preset=preset)
    interactions = InteractionDataModule(data, seed=seed, **preset['data'])
    with tempfile.TemporaryDirectory() as folder:
        fit(
            *(model, interactions, folder),
            epochs=epochs,
            ks=(K,),
            seed=seed,
            device='cpu',
            progress=False,
            **preset['fit'],
        )
    return model.eval()


@torch.no_grad()
def score(model: Recommender, users: Tensor) -> Tensor:
    return model.score(users)


def dense(edges: Tensor, sizes: tuple[int, int]) -> Tensor:
    matrix = torch.zeros(sizes)
    matrix[edges[0], edges[1]] = 1
    return matrix


def recall(scores: Tensor, label: Tensor) -> float:
    r"""The mean Recall@20 over users with labels."""
    some = label.sum(dim=1) > 0
    label = label[some]
    top = scores[some].topk(K).indices
    hits = label.gather(1, top).sum(dim=1)
    return round(float((hits / label.sum(dim=1)).mean()), 4)


if __name__ == '__main__':
    sys.exit(main())
