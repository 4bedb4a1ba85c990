from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.examples.run_example import EXAMPLES


def train(num_ranks: int, *options: object) -> dict[int, float]:
    """The losses of epochs."""
    torchrun = 'torch.distributed.run', '--standalone', '--nproc-per-node'
    script = EXAMPLES / 'sharded_tables.py'
    done = subprocess.run(
        [sys.executable, '-m', *map(str, (*torchrun, num_ranks, script, *options))],
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = re.findall(r'epoch (\d+), loss (\d\.\d{4})\n', done.stdout)
    return {int(epoch): float(loss) for epoch, loss in lines}


def test_learns_and_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    out = '--out', tmp_path / 'run'
    first = train(2, '--epochs', 3, *out)
    rest = train(1, '--epochs', 6, '--resume', *out)
    assert [*first, *rest] == [1, 2, 3, 4, 5, 6]
    losses = [*first.values(), *rest.values()]
    assert losses == sorted(losses, reverse=True)
