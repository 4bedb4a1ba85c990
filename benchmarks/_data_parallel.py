"""Data-parallel training: every rank has the whole model and a share of the loss."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import _shards
from pyg_irllrec.distributed import DistributedLoss
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.utils import bipartite_edge_index, ranks

Row = dict[str, Any]

EQUAL = 1e-5


class Size(NamedTuple):
    """The size of the model and of the batch of all processes together."""

    nodes: int
    text_width: int
    batch: int
    impl: str


def train(quick: bool) -> list[Row]:
    """Compare loss and gradients of several processes with those of one. Measure
    strong scaling (the same batch) and weak scaling (a batch that grows)."""
    numbers = (1, 2) if quick else (1, 2, 3, 4)
    nodes, width, batch = (300, 24, 64) if quick else (3_000, 768, 1_024)
    repeats = 1 if quick else 3
    rows: list[Row] = []
    for impl in ('auto', 'moments'):
        alone: Row = {}
        for number in numbers:
            # An odd batch, so that ranks have different numbers of rows.
            size = Size(nodes, width, batch - 1, impl)
            found = _shards.run(number, measure, size, repeats)
            alone = alone or found[0]
            rows.append(
                {'case': 'strong', 'processes': number, **size._asdict()}
                | summary(found)
                | errors(found[0], alone)
            )
        for number in numbers:
            size = Size(nodes, width, batch // 4 * number, impl)
            found = _shards.run(number, measure, size, repeats)
            rows.append(
                {'case': 'weak', 'processes': number, **size._asdict()} | summary(found)
            )
    return rows


def summary(found: list[Row]) -> Row:
    """The means over ranks, and the time of the first rank."""
    return {
        'seconds': statistics.median(found[0]['seconds']),
        'cpu_seconds': statistics.fmean(
            statistics.median(each['cpu_seconds']) for each in found
        ),
        'flops': statistics.fmean(each['flops'] for each in found),
        'sent': found[0]['sent'],
    }


def errors(found: Row, alone: Row) -> Row:
    """The relative errors of loss and gradients against a single process."""
    loss = abs(found['loss'] / alone['loss'] - 1)
    gradient = found['gradient'] - alone['gradient']
    off = float(gradient.norm() / alone['gradient'].norm())
    return {
        'loss_error': loss,
        'gradient_error': off,
        'agrees': max(loss, off) <= EQUAL,
    }


def build(size: Size) -> IRLLRec:
    """The model, which is the same in all processes."""
    torch.manual_seed(0)
    num_users = int(size.nodes * 0.6)
    sides = num_users, size.nodes - num_users
    pairs = torch.stack([torch.randint(side, (10 * size.nodes,)) for side in sides])
    profile, intent = torch.randn(2, size.nodes, size.text_width)
    return IRLLRec(
        LightGCN(*sides, 32, num_intents=128),
        bipartite_edge_index(pairs, *sides),
        profile=profile,
        intent=intent,
        alignment=IntentAlignmentLoss(impl='auto', translation_impl=size.impl),
    )


def measure(mesh: DeviceMesh, size: Size, repeats: int) -> Row:
    """The mean loss and gradient of the first step, and the time of further steps."""
    model = build(size)
    step = DistributedDataParallel(DistributedLoss(model))
    weights = list(model.parameters())
    optimizer = torch.optim.Adam(weights, fused=True)
    torch.manual_seed(1)

    def backward() -> Tensor:
        triplets = torch.stack(
            [
                torch.randint(side, (size.batch,))
                for side in (model.num_users, *[model.num_items] * 2)
            ]
        )
        optimizer.zero_grad()
        loss: Tensor = step(triplets).total
        loss.backward()
        return loss.detach()

    with FlopCounterMode(display=False) as counter, counted_bytes(mesh) as sent:
        loss = backward()
    dist.all_reduce(loss)
    gradient = torch.cat([weight.grad.flatten() for weight in weights])
    sent['gradients'] = 2 * (1 - 1 / mesh.size()) * 4 * gradient.numel()
    seconds, processor = [], []
    for _ in range(repeats):
        optimizer.step()
        dist.barrier()
        start, used = time.perf_counter(), time.process_time()
        backward()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return {
        'loss': float(loss) / mesh.size(),
        'gradient': gradient,
        'flops': counter.get_total_flops(),
        'sent': dict(sent),
        'seconds': seconds,
        'cpu_seconds': processor,
    }


@contextmanager
def counted_bytes(mesh: DeviceMesh) -> Iterator[dict[str, float]]:
    """Count the bytes that the loss sends to other ranks, if sent in rings."""
    sent: dict[str, float] = defaultdict(float)
    share = 1 - 1 / mesh.size()
    gather, scatter, reduce = ranks._all_gather, ranks._reduce_scatter, dist.all_reduce

    def count_gather(out: Tensor, x: Tensor, **options: Any) -> Any:
        sent['rows'] += share * out.numel() * out.itemsize
        return gather(out, x, **options)

    def count_scatter(out: Tensor, x: Tensor, **options: Any) -> Any:
        sent['rows'] += share * x.numel() * x.itemsize
        return scatter(out, x, **options)

    def count_reduce(x: Tensor, *given: Any, **options: Any) -> Any:
        sent['moments'] += 2 * share * x.numel() * x.itemsize
        return reduce(x, *given, **options)

    ranks._all_gather, ranks._reduce_scatter = count_gather, count_scatter
    dist.all_reduce = count_reduce
    try:
        yield sent
    finally:
        ranks._all_gather, ranks._reduce_scatter = gather, scatter
        dist.all_reduce = reduce


def table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """The work and traffic of a process, compared with a single process."""
    head = [
        'scaling',
        'translation',
        'processes',
        'triplets',
        'CPU time per process and step',
        'x one process',
        'products of towers and prototypes',
        'x one process',
        'rows sent',
        'moments sent',
        'gradients sent',
    ]
    first: dict[tuple[str, str], Row] = {}
    lines = []
    for row in rows:
        one = first.setdefault((row['case'], row['impl']), row)
        sent = row['sent']
        lines.append(
            [
                row['case'],
                {'auto': 'exact'}.get(row['impl'], row['impl']),
                str(row['processes']),
                f'{row["batch"]:,}',
                f'{1e3 * row["cpu_seconds"]:.0f} ms',
                f'{row["cpu_seconds"] / one["cpu_seconds"]:.2f}',
                f'{row["flops"] / 1e9:.1f} GFLOP',
                f'{row["flops"] / one["flops"]:.2f}',
                f'{sent["rows"] / 1e6:.2f} MB',
                f'{sent.get("moments", 0) / 1e3:.1f} kB',
                f'{sent["gradients"] / 1e6:.2f} MB',
            ]
        )
    return head, lines
