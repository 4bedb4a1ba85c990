"""Sharded training: each rank draws its part of the graph for a ShardedLightGCN."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from benchmarks._step_counts import StepCounter, counted_bytes
from benchmarks.cost_model import Setting
from benchmarks.harness import Memory
from pyg_irllrec.distributed import ShardedGraph, ShardedLightGCN
from pyg_irllrec.distributed._row_ranges import RowRanges


def run(num_ranks: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """The results of ``function(mesh, *args)`` in :obj:`num_ranks` gloo processes."""
    context = get_context('forkserver')
    context.set_forkserver_preload(['benchmarks._shards'])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        futures = []
        for rank in range(num_ranks):
            pool = ProcessPoolExecutor(1, mp_context=context)
            stack.enter_context(pool)
            store = str(Path(folder, 'store'))
            job = _start, store, rank, num_ranks, function, args
            futures.append(pool.submit(*job))
        return [each.result() for each in futures]


def _start(
    store: str,
    rank: int,
    size: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    url, limit = f'file://{store}', timedelta(hours=1)
    dist.init_process_group('gloo', url, limit, size, rank)
    try:
        found = function(init_device_mesh('cpu', (size,)), *args)
        dist.barrier()
        return found
    finally:
        dist.destroy_process_group()


def sizes(s: Setting) -> tuple[int, int]:
    """The numbers of users and items."""
    num_users = int(s.nodes * 0.6)
    return num_users, int(s.nodes) - num_users


def draw_pairs(s: Setting, rank: int) -> Tensor:
    """Interactions of the rank's users with items of this and of other ranks."""
    users, items = (RowRanges(size, s.processes) for size in sizes(s))
    count = int(s.edges / s.processes)
    crossing = 1 - 1 / s.processes if s.crossing is None else s.crossing
    user = torch.randint(users.start(rank), users.start(rank + 1), (count,))
    hops = torch.zeros(count, dtype=torch.int64)
    if s.processes > 1:
        hops.random_(1, s.processes)
        hops *= torch.rand(count) < crossing
    owner = (rank + hops) % s.processes
    start = owner * items.block
    width = (items.num_rows - start).clamp_(max=items.block)
    item = start + (torch.rand(count, dtype=torch.float64) * width).long()
    return torch.stack([user, item])


def build(mesh: DeviceMesh, s: Setting) -> ShardedLightGCN:
    rank = mesh.get_rank()
    graph = ShardedGraph(draw_pairs(s, rank), *sizes(s), mesh)
    return ShardedLightGCN(
        graph,
        s.dim,
        num_layers=s.layers,
        num_slices=s.slices,
        text=torch.randn(graph.num_nodes, s.text_width),
        projector=torch.nn.Linear(s.text_width, s.dim),
        negatives=s.negatives,
        impl='moments' if s.negatives == 'all' else 'ring',
    )


def draw_triplets(s: Setting) -> Tensor:
    num_users, num_items = sizes(s)
    user = torch.randint(num_users, (1, s.batch))
    return torch.cat([user, torch.randint(num_items, (2, s.batch))])


def measure(mesh: DeviceMesh, s: Setting, repeats: int, count: bool) -> dict[str, Any]:
    """Measure building the model, and its steps after a first one that initialises
    Adam."""
    start = time.perf_counter()
    memory = Memory(torch.device('cpu'))
    memory.start()
    model = build(mesh, s)
    built = time.perf_counter() - start
    building = memory.peak()['peak_mb']
    optimizer = torch.optim.Adam(model.parameter_groups(), fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = model.loss(draw_triplets(s))
        loss.backward()
        optimizer.step()
        return loss.item()

    step()
    found: dict[str, Any] = {'build_seconds': built, 'build_peak_mb': building}
    if count:
        with counted_bytes() as sent, StepCounter(s.text_width) as counter:
            step()
        found |= {
            'memory': held(model, optimizer) | {'step': counter.peak},
            'sent': dict(sent),
            'flops': dict(counter.flops),
        }
    memory.start()  # Resets the peak of building.
    seconds, processor = [], []
    for _ in range(repeats):
        dist.barrier()
        start, used = time.perf_counter(), time.process_time()
        with counted_bytes() as sent:
            loss = step()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return found | {
        'seconds': seconds,
        'cpu_seconds': processor,
        'peak_mb': memory.peak()['peak_mb'],
        'peak_mb_of_all': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        'sent': dict(sent),
        'halo_rows': model.graph.halo.num_rows,
        'own_rows': model.graph.num_nodes,
        'edges': model.graph.col.numel(),
        'loss_share': loss,
    }


def held(model: ShardedLightGCN, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """The bytes that stay in memory between steps, by term."""
    graph, text = model.graph, model.text
    assert text is not None
    states = [
        optimizer.state[table][name].to_local()
        for table in (model.users.weight, model.items.weight)
        for name in ('exp_avg', 'exp_avg_sq')
    ]
    parts = graph.rowptr, graph.col, graph.value, graph.scale, graph.halo.send_rows
    return {
        'embeddings and Adam': nbytes(model.users.own, model.items.own, *states),
        'texts': nbytes(text),
        'graph': nbytes(*parts),
    }


def nbytes(*tensors: Tensor) -> int:
    return sum(x.numel() * x.itemsize for x in tensors)
