from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.examples.run_example import EXAMPLES

SCRIPT = EXAMPLES / 'several_devices.py'


def start(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_commands_of_the_docs_run(tmp_path):
    """The first command starts its processes with fit(), the second with torchrun."""
    torchrun = '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', 2
    running = [
        start(SCRIPT, '--devices', 2, '--epochs', 1, '--out', tmp_path / 'run'),
        start(*torchrun, SCRIPT, '--by-hand', '--epochs', 1),
    ]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert re.fullmatch(r'Recall@20 0\.\d{4}\n', out), out
    assert (tmp_path / 'run' / 'metrics.json').is_file()
