from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.examples.run_example import EXAMPLES


def train(num_ranks: int, *options: object) -> dict[int, float]:
    """Train on some processes and return the losses by epoch."""
    torchrun = '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node'
    command = *torchrun, num_ranks, EXAMPLES / 'sharded_tables.py', *options
    alone = {}
    if num_ranks == 1:  # Set what torchrun would, which takes seconds to start.
        command = command[len(torchrun) + 1 :]
        alone = {'RANK': '0', 'WORLD_SIZE': '1', 'LOCAL_RANK': '0'}
        alone |= {'MASTER_ADDR': 'localhost', 'MASTER_PORT': '0'}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, **alone, 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r'epoch (\d+), loss (\d\.\d{4})\n', done.stdout)
    return {int(epoch): float(loss) for epoch, loss in lines}


def test_learns_and_resumes_on_another_number_of_processes(tmp_path: Path) -> None:
    out = '--out', tmp_path / 'run'
    first = train(2, '--epochs', 3, *out)
    rest = train(1, '--epochs', 6, '--resume', *out)
    assert [*first, *rest] == [1, 2, 3, 4, 5, 6]
    losses = [*first.values(), *rest.values()]
    assert losses == sorted(losses, reverse=True)
