r"""Run the notebooks of the docs again and compare what they print.

    python .ci/notebooks.py [--write] [NOTEBOOK ...]

A notebook whose text outputs differ from the stored ones is written in place, and the
exit status is 1: look at the difference, and commit it if it is right. Numbers with a
decimal point may differ by 5 %, as processors round differently; pictures are not
compared. --write stores all outputs, also where no text has changed. A notebook that
raises an error stays as it is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / 'docs' / 'notebooks'
KERNEL = {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'}
# Of the environment, not of the notebooks: it has no widgets.
HIDDEN = ('IProgress not found',)
_NUMBER = re.compile(r'-?\d+\.\d+(?:e[+-]?\d+)?')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('notebooks', nargs='*', type=Path, metavar='NOTEBOOK')
    parser.add_argument('--write', action='store_true', help='store all outputs')
    args = parser.parse_args()
    failed = False
    for path in args.notebooks or sorted(FOLDER.glob('*.ipynb')):
        failed |= not check(path, args.write)
    return int(failed)


def check(path: Path, write: bool) -> bool:
    """Whether a notebook runs and prints what is stored in it."""
    start = time.monotonic()
    stored = json.loads(path.read_text(encoding='utf-8'))
    try:
        found = execute(stored)
    except Exception as error:  # Any error of a cell, or of the kernel.
        print(f'{path.name}: {error}')
        return False
    changes = differences(stored, found)
    if write or changes:
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + '\n', encoding='utf-8')
    print('\n'.join([f'{path.name}: {time.monotonic() - start:.0f} s', *changes]))
    return write or not changes


def execute(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with new outputs, run in an empty folder."""
    import nbformat
    from nbclient import NotebookClient

    node = nbformat.reads(json.dumps(notebook), as_version=4)
    hidden = ','.join(f'ignore:{message}' for message in HIDDEN)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            node,
            timeout=300,
            kernel_name=KERNEL['name'],
            record_timing=False,
            coalesce_streams=True,  # One output, however the kernel sends it.
            resources={'metadata': {'path': folder}},
        ).execute(env=os.environ | {'PYTHONWARNINGS': hidden})
    node.metadata = {'kernelspec': KERNEL, 'language_info': {'name': 'python'}}
    found: dict[str, Any] = json.loads(nbformat.writes(node))
    return found


def differences(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """A line for each cell whose texts differ."""
    old, new = texts(stored), texts(found)
    return [
        f'  cell {number} printed {was!r}, and now {now!r}'
        for number, (was, now) in enumerate(zip(old, new, strict=True), 1)
        if not same(was, now)
    ]


def texts(notebook: dict[str, Any]) -> list[str]:
    """What each cell prints and returns, without pictures."""
    found = []
    for cell in notebook['cells']:
        parts = []
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            if not any(kind.startswith('image/') for kind in data):
                parts += output.get('text', data.get('text/plain', []))
        found.append(' '.join(''.join(parts).split()))
    return found


def same(old: str, new: str) -> bool:
    """Whether texts are the same up to the rounding of their numbers."""
    numbers = zip(_NUMBER.findall(old), _NUMBER.findall(new))
    return _NUMBER.sub('#', old) == _NUMBER.sub('#', new) and all(
        math.isclose(float(was), float(now), rel_tol=0.05, abs_tol=0.02)
        for was, now in numbers
    )


if __name__ == '__main__':
    sys.exit(main())
