r"""Install every extra alone, and run what it unlocks.

    python .ci/extras_check.py .venv-wheel dist/pyg_irllrec-0.1.0-py3-none-any.whl \
        constraints.txt

The first environment has torch, and the bare wheel is installed into it. Each extra is
installed into an environment of its own on top, so that torch is not installed again.
For extras whose packages are large or are built against torch, pip only resolves the
versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

# What the extra unlocks, without a network.
RUN = {
    'train': """
from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule, fit
data = SyntheticIntents(30, 20)[0]
fit(build_model(data), InteractionDataModule(data), 'run', epochs=1)
""",
    'cli': "from pyg_irllrec.cli.main import main; main(['info', '--help'])",
    'serve': 'from pyg_irllrec.serving import http; import faiss',
    'data': """
from pyg_irllrec.datasets import InteractionDataset
rows = {'user': ['ann', 'bob'], 'item': [1, 2]}
InteractionDataset.from_frame(rows, 'data', user='user', item='item')
""",
    'llm': """
from pyg_irllrec.text import OpenAIChat, OpenAIEncoder
OpenAIChat('m', api_key='k'), OpenAIEncoder('m', api_key='k')
""",
    'hub': "from pyg_irllrec.serving._hub import _hub_class; _hub_class('hub')",
    'tune': """
from pyg_irllrec import build_model, presets
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import tune
data = SyntheticIntents(30, 20)[0]
preset = presets.get_preset('lightgcn')
tune(lambda preset: build_model(data, preset=preset),
     {'backbone.num_layers': [1, 2]}, data, 'tuned', preset=preset, trials=1, epochs=1)
""",
    'plot': """
from pyg_irllrec.plot import learning_curves
learning_curves([{'epoch': 1, 'loss': 2.0}], 'curves.png')
""",
}
RESOLVE = ('text', 'ray', 'triton', 'sparse', 'full')


def main(venv_path: str, wheel: str, constraints: str) -> None:
    base = Path(venv_path).absolute()
    python = base / 'bin' / 'python'
    install = [python, '-m', 'pip', 'install', '--quiet', '--constraint', constraints]
    subprocess.run([*install, wheel], check=True)
    with tempfile.TemporaryDirectory() as folder:
        for extra in (*RUN, *RESOLVE):
            started = time.monotonic()
            check_extra(extra, base, Path(wheel), Path(constraints), Path(folder))
            print(f'{extra:<8} {time.monotonic() - started:.0f} s', flush=True)


def check_extra(
    extra: str, base: Path, wheel: Path, constraints: Path, folder: Path
) -> None:
    python = base / 'bin' / 'python'
    own = folder / extra
    venv.create(own, symlinks=True)
    (packages,) = own.glob('lib/python*/site-packages')
    (below,) = base.glob('lib/python*/site-packages')
    (packages / 'below.pth').write_text(str(below))
    command = [python, '-m', 'pip', '--python', own / 'bin' / 'python', 'install']
    command += ['--quiet', '--constraint', constraints, f'{wheel}[{extra}]']
    report = folder / f'{extra}.json'
    if extra in RESOLVE:
        command += ['--dry-run', '--report', report]
    subprocess.run(command, check=True)
    if extra in RUN:
        code = ['-W', 'ignore', '-c', RUN[extra]]
        subprocess.run(
            [own / 'bin' / 'python', *code],
            check=True,
            cwd=own,
            stdout=subprocess.DEVNULL,
        )
    else:
        new = json.loads(report.read_text())['install']
        print(' ', *sorted(each['metadata']['name'] for each in new))


if __name__ == '__main__':
    main(*sys.argv[1:])
