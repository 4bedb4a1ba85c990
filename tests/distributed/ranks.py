"""Gloo processes for tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

import pyg_irllrec.distributed  # noqa: F401  Whoever is forked has it.


class Ranks:
    """Run a function of a module in several processes at once. A process keeps its
    rank: torch caches by meshes, which are equal on all ranks."""

    def __init__(self, pools: list[ProcessPoolExecutor]) -> None:
        self.pools = pools

    def __call__(
        self, num_ranks: int, function: Callable[..., Any], *args: Any
    ) -> list[Any]:
        """What ``function(mesh, *args)`` returns in every rank. A rank that waits for
        one that has failed gives up after a minute."""
        with tempfile.TemporaryDirectory() as folder:
            store = str(Path(folder, 'store'))
            futures = [
                pool.submit(_run, store, rank, num_ranks, function, args)
                for rank, pool in enumerate(self.pools[:num_ranks])
            ]
            errors = [error for each in futures if (error := each.exception())]
            if errors:
                # The first cause rather than those that have waited for it.
                raise min(errors, key=lambda error: 'peer' in str(error))
            return [each.result() for each in futures]


def _run(
    store: str,
    rank: int,
    num_ranks: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> Any:
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{store}',
        rank=rank,
        world_size=num_ranks,
        timeout=timedelta(minutes=1),
    )
    try:
        found = function(init_device_mesh('cpu', (num_ranks,)), *args)
        dist.barrier()  # Whoever leaves first would cut off the others.
        return found
    finally:
        dist.destroy_process_group()


def own_share(mesh: DeviceMesh, x: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """Every R-th slice: ragged, and other than what a rank owns."""
    group = mesh.get_group()
    index = torch.arange(x.size(dim))[group.rank() :: group.size()]
    return x.index_select(dim, index)
