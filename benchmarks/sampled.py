r"""Compare sampled training with the full graph: quality, bias and cost of a step.

    python -m benchmarks.sampled --root DIR --json FILE
    python -m benchmarks.sampled --dry

- quality: Recall@20 and NDCG@20 on the test part, at the best validation epoch, of a
  model trained on the full graph and on sampled parts of it. One seed.
- bias: the loss of the model trained on the full graph, estimated from drawn nodes or
  sampled neighbours, against the full loss, over 20 draws.
- cost: the memory and CPU time of a training step on random graphs, each in its own
  process.

The JSON is written after each row, so a run that is stopped keeps its rows. --dry
trains for two epochs on a small dataset, to check that everything runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from benchmarks import harness, real_data
from benchmarks.graphs import long_tailed
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN, SoftmaxLoss
from pyg_irllrec.training import (
    InteractionDataModule,
    SampledDataModule,
    SubgraphSampler,
    fit,
    sampled_loss,
)
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils import bipartite_edge_index

Row = dict[str, Any]

FULL = 'full graph'
SETTINGS: dict[str, tuple[list[int], int]] = {
    '20, 10': ([20, 10], 2048),
    '5, 5': ([5, 5], 512),
}
"""Neighbours per hop, and the number of drawn nodes that represent all nodes."""
DRAWS = 20
K = 20


def main(argv: Optional[list[str]] = None) -> int:
    args = parse_args(argv)
    warnings.simplefilter('ignore')
    names = ['toy'] if args.dry else args.data
    epochs = 2 if args.dry else args.epochs
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
        if args.json is not None:
            harness.write(args.json, 'sampled', rows)

    for size in [1000] if args.dry else args.nodes:
        for sampled in (False, True):
            add(harness.run_apart(measure_step, size, sampled))
    for name in names:
        data = real_data.load(name, args.root, intents=True)
        for setting in (FULL, *SETTINGS):
            model, row = train(data, setting, epochs)
            add({'part': 'quality', 'data': name, **row})
            if setting == FULL:
                for bias in measure_bias(model, data):
                    add({'part': 'bias', 'data': name, **bias})
    for head, lines in (quality_table(rows), bias_table(rows), cost_table(rows)):
        print('\n'.join(' | '.join(line) for line in (head, *lines)), end='\n\n')
    return 0


def parse_args(argv: Optional[list[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--root', type=Path, metavar='DIR', help='folder of all datasets'
    )
    parser.add_argument('--data', nargs='+', default=['ml-100k', 'amazon'])
    parser.add_argument('--nodes', nargs='*', type=int, default=[10**5, 10**6])
    parser.add_argument('--epochs', type=int, default=24)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    parser.add_argument('--dry', action='store_true', help='only check that it runs')
    return parser.parse_args(argv)


def make_model(data: HeteroData) -> IRLLRec:
    torch.manual_seed(0)
    sizes = data['user'].num_nodes, data['item'].num_nodes
    has_texts = 'intent' in data['item']
    texts: dict[str, Tensor] = {}
    if has_texts:
        for name in ('profile', 'intent'):
            texts[name] = torch.cat([data[side][name].float() for side in SIDES])
    return IRLLRec(
        LightGCN(*sizes, 64, num_layers=2, num_intents=32 if has_texts else 0),
        bipartite_edge_index(data[RATES].edge_index, *sizes),
        **texts,
        alignment=IntentAlignmentLoss(),
        ranking=SoftmaxLoss(temperature=0.15),
        normalize=True,
        l2_weight=1e-7,
    )


def train(data: HeteroData, setting: str, epochs: int) -> tuple[IRLLRec, Row]:
    """Train a model and measure its quality."""
    model = make_model(data)
    num = data[RATES].edge_index.size(1)
    options = {'batch_size': max(num // 8, 1024), 'batch_by': 'user', 'seed': 0}
    batches = InteractionDataModule(data, **options)
    if setting != FULL:
        num_neighbors, num_samples = SETTINGS[setting]
        batches = SampledDataModule(
            data, num_neighbors=num_neighbors, num_samples=num_samples, **options
        )
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            *(model, batches, Path(folder) / 'run'),
            epochs=epochs,
            lr=5e-3,
            check_every=2,
            ks=(K,),
            progress=False,
        )
    return model, {
        'setting': setting,
        'num_samples': None if setting == FULL else SETTINGS[setting][1],
        'nodes': model.num_users + model.num_items,
        'texts': model.intent is not None,
        'best_epoch': result.best_epoch,
        'cpu_seconds': round(time.process_time() - start, 1),
        **{name: round(value, 5) for name, value in result.test.items()},
    }


@torch.no_grad()
def measure_bias(model: IRLLRec, data: HeteroData) -> list[Row]:
    """Compare the mean of each estimated term with the term of the full graph."""
    model.eval()
    sizes = model.num_users, model.num_items
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(data[RATES].edge_index.size(1), generator=generator)[:1024]
    user, item = data[RATES].edge_index[:, chosen]
    triplets = torch.stack([user, item, item.flip(0)])
    full = {name: float(term) for name, term in model.loss(triplets).terms.items()}
    rows = []
    for num_neighbors, num_samples in (
        *(([-1, -1], min(size, sum(sizes))) for size in (128, 512, 2048)),
        *((list(number), sum(sizes)) for number in ((5, 5), (20, 10), (50, 50))),
    ):
        sampler = SubgraphSampler(model, num_neighbors, num_samples)
        losses: dict[str, list[float]] = {name: [] for name in full}
        for _ in range(DRAWS):
            batch = sampler.sample(triplets, generator)
            for name, term in sampled_loss(model, batch).terms.items():
                losses[name].append(float(term))
        for name in full.keys() & {'ranking', 'translation', 'matching', 'intent'}:
            found = torch.tensor(losses[name], dtype=torch.double)
            rows.append(
                {
                    'num_neighbors': num_neighbors,
                    'num_samples': num_samples,
                    'term': name,
                    'bias': float(found.mean()) / full[name] - 1,
                    'deviation': float(found.std()) / abs(full[name]),
                }
            )
    model.train()
    return sorted(rows, key=lambda row: str(row['term']))


def measure_step(num_nodes: int, sampled: bool) -> Row:
    """Measure the second of two steps. The first one initialises Adam."""
    data = long_tailed(num_nodes // 2, num_nodes // 2, 5 * num_nodes)
    model = IRLLRec(
        LightGCN(data.num_users, data.num_items, 64, num_layers=3),
        bipartite_edge_index(*data),
    )
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    user, item = data.pairs[:, :1024]
    triplets = torch.stack([user, item, item.flip(0)])
    sampler = SubgraphSampler(model, [10, 5, 5]) if sampled else None
    found: Row = {}

    def step() -> None:
        if sampler is None:
            loss = model.loss(triplets)
        else:
            batch = sampler.sample(triplets)
            found['sampled_nodes'] = len(batch.nodes)
            loss = sampled_loss(model, batch)
        loss.total.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    memory = harness.Memory(torch.device('cpu'))
    memory.start()
    start = time.process_time()
    step()
    return {
        'part': 'cost',
        'nodes': num_nodes,
        'setting': '10, 5, 5' if sampled else FULL,
        'cpu_seconds': round(time.process_time() - start, 3),
        **memory.peak(),
        'table_mb': num_nodes * 64 * 4 / 2**20,
        **found,
    }


def quality_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    lines = [
        [
            f'{row["data"]}, {row["nodes"]:,} nodes',
            'profiles and intents' if row['texts'] else 'none',
            row['setting'],
            '' if row['num_samples'] is None else f'{row["num_samples"]:,}',
            *(f'{row[name]:.4f}' for name in (f'recall@{K}', f'ndcg@{K}')),
        ]
        for row in rows
        if row['part'] == 'quality'
    ]
    head = ['data', 'texts', 'neighbours', 'drawn nodes', 'Recall@20', 'NDCG@20']
    return head, lines


def bias_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    lines = [
        [
            row['data'],
            row['term'],
            'all' if -1 in row['num_neighbors'] else _join(row['num_neighbors']),
            f'{row["num_samples"]:,}',
            f'{100 * row["bias"]:+.2f} %',
            f'{100 * row["deviation"]:.2f} %',
        ]
        for row in rows
        if row['part'] == 'bias' and row['deviation'] > 1e-6  # Skip exact terms.
    ]
    head = ['data', 'term', 'neighbours', 'drawn nodes', 'bias', 'deviation']
    return head, lines


def cost_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    lines = [
        [
            f'{row["nodes"]:,}',
            row['setting'],
            f'{row["sampled_nodes"]:,}' if 'sampled_nodes' in row else 'all',
            f'{row["cpu_seconds"]:.2f} s',
            f'{row["extra_mb"]:,.0f} MB',
            f'{row["table_mb"]:,.0f} MB',
        ]
        for row in rows
        if row['part'] == 'cost'
    ]
    head = [
        *('nodes', 'neighbours', 'nodes embedded', 'CPU time', 'peak memory of a step'),
        'embedding table',
    ]
    return head, lines


def _join(numbers: list[int]) -> str:
    return ', '.join(map(str, numbers))


if __name__ == '__main__':
    sys.exit(main())
