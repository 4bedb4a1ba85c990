r"""Damage saved bundles and kill processes that save them. Then load the bundles.

    python -m benchmarks.bundle_faults --json FILE

Bits are flipped, and files are cut, lengthened, removed and swapped. In the rows with
"forged", an attacker also updates the sizes and hashes. Verdicts:

    equal    the same scores as before
    refused  a ValueError of one line that names the folder
    read     only if forged: other content, which no check can detect
    UNCLEAR  another error
    WRONG    other scores without an error

Then processes that save over a bundle are killed at random moments. The bundle must be
the old or the new one. Linux only. Takes 3 minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import harness
from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.serving._save import with_digest
from pyg_irllrec.text import TfidfEncoder

VERDICTS = ('equal', 'refused', 'read', 'UNCLEAR', 'WRONG')
FAILURES = ('UNCLEAR', 'WRONG')

Fault = Callable[[Path, random.Random], str]


def flip(folder: Path, rng: random.Random) -> str:
    """Flip one bit of a file."""
    path = _any_file(folder, rng)
    content = bytearray(path.read_bytes())
    place = rng.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    return path.name


def cut(folder: Path, rng: random.Random) -> str:
    """Cut off the end of a file, or all of it."""
    path = _any_file(folder, rng)
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])
    return path.name


def lengthen(folder: Path, rng: random.Random) -> str:
    """Append random bytes to a file."""
    path = _any_file(folder, rng)
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 100)))
    return path.name


def remove(folder: Path, rng: random.Random) -> str:
    """Remove a file."""
    path = _any_file(folder, rng)
    path.unlink()
    return path.name


def swap(folder: Path, rng: random.Random) -> str:
    """Swap two files of the bundle."""
    paths = rng.sample(sorted(folder.iterdir()), 2)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents)):
        path.write_bytes(content)
    return ' and '.join(path.name for path in paths)


def forge_file(folder: Path, rng: random.Random) -> str:
    """Flip a few bits of a file, and update its hash."""
    path = rng.choice([each for each in _files(folder) if each.name != 'bundle.json'])
    content = bytearray(path.read_bytes())
    # Headers and footers contain the sizes.
    ends = [*range(min(400, len(content))), *range(len(content) - 400, len(content))]
    for place in rng.sample(ends, rng.randrange(1, 4)):
        content[place] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    record = json.loads((folder / 'bundle.json').read_bytes())
    for each in record['files'].values():
        if each['name'] == path.name:
            each['sha256'] = hashlib.sha256(content).hexdigest()
    _write_record(folder, record)
    return path.name


def forge_record(folder: Path, rng: random.Random) -> str:
    """Change a value of bundle.json, and update its hash."""
    record = json.loads((folder / 'bundle.json').read_bytes())
    parent: Any = record
    while True:
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        key = rng.choice(list(keys))
        child = parent[key]
        if not isinstance(child, (dict, list)) or not child or rng.random() < 0.2:
            break
        parent = child
    values: list[Any] = [None, True, -1, 0, 3, 10**12, 1e300, 'x', '../x', [], {}, [{}]]
    parent[key] = rng.choice(values)
    _write_record(folder, record)
    return f'{key} = {parent[key]}'


def forge_depth(folder: Path, rng: random.Random) -> str:
    """Nest up to 300 models in each other, and update the hash."""
    record = json.loads((folder / 'bundle.json').read_bytes())
    config = record['model']['arguments']
    for _ in range(depth := rng.randrange(1, 300)):
        config['backbone'] = {
            'class': 'IntentNodeBackbone',
            'arguments': {'backbone': config['backbone'], 'num_items': 1, 'weight': 1},
        }
    _write_record(folder, record)
    return f'{depth} deep'


FAULTS: dict[str, Fault] = {
    'flipped': flip,
    'cut': cut,
    'lengthened': lengthen,
    'removed': remove,
    'swapped': swap,
    'forged, a file': forge_file,
    'forged, bundle.json': forge_record,
    'forged, nested': forge_depth,
}


def verdict_of(folder: Path, wanted: Tensor, forged: bool) -> tuple[str, str]:
    """Load a damaged bundle. Return the verdict and the error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            bundle = load(folder)
            score = scores(bundle)
    except (ValueError, FileNotFoundError) as error:
        text = str(error)
        clear = '\n' not in text and str(folder) in text
        return ('refused' if clear else 'UNCLEAR'), text
    except Exception as error:
        return 'UNCLEAR', repr(error)
    if score.equal(wanted):
        return 'equal', ''
    return ('read' if forged else 'WRONG'), ''


def scores(bundle: Bundle) -> Tensor:
    """The scores of all users."""
    return bundle.ranker.score(torch.arange(len(bundle.users)))


def make_bundle(seed: int = 0) -> Bundle:
    """A small bundle with texts, a companion and an encoder."""
    data = SyntheticIntents(40, 30, 4, seed=seed)[0]
    encoder = TfidfEncoder(8)
    texts = [*data['user'].profile_text, *data['item'].profile_text]
    vectors = torch.from_numpy(encoder.fit(texts)(texts))
    data['user'].profile, data['item'].profile = vectors.split([40, 30])
    torch.manual_seed(seed)
    model = build_model(data)
    assert model.blend_weight is not None
    model.blend_weight.copy_(torch.tensor([0.5, 0.5]))
    return Bundle(model, data, encoder=encoder, metrics={'recall@20': 0.5})


def damage(trials: int, seed: int, faults: list[str]) -> list[dict[str, Any]]:
    """Damage a bundle :obj:`trials` times by each fault."""
    bundle, rows = make_bundle(), []
    wanted = scores(bundle)
    with tempfile.TemporaryDirectory() as folder:
        whole, copy = Path(folder, 'whole'), Path(folder, 'copy')
        bundle.save(whole)
        for name in faults:
            rng = random.Random(f'{seed} {name}')
            found: Counter[str] = Counter()
            examples: dict[str, str] = {}
            for _ in range(trials):
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(whole, copy)
                what = FAULTS[name](copy, rng)
                verdict, error = verdict_of(copy, wanted, name.startswith('forged'))
                found[verdict] += 1
                line = f'{what}: {error}'.replace(str(copy), 'DIR')
                examples.setdefault(verdict, line[:300])
                if verdict in FAILURES:
                    print(f'  {verdict}: {line}', file=sys.stderr)
            counts = {verdict: found[verdict] for verdict in VERDICTS}
            rows.append(
                {'fault': name, 'trials': trials, **counts, 'examples': examples}
            )
    return rows


def kill_savers(trials: int, seed: int) -> dict[str, Any]:
    """Kill processes that save over a bundle, and load the bundle."""
    rng = random.Random(seed)
    bundles = [make_bundle(0), make_bundle(1)]
    wanted = [scores(each) for each in bundles]
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, 'bundle')
        bundles[0].save(folder)
        last, most_files = 0, 0
        duration = max(_save_apart(bundles[number], folder, None) for number in (1, 0))
        for _ in range(trials):
            _save_apart(bundles[1 - last], folder, rng.uniform(0, 1.2 * duration))
            most_files = max(most_files, len(list(folder.iterdir())))
            try:
                score = scores(load(folder))
            except Exception as error:
                print(f'  UNCLEAR: {error!r}', file=sys.stderr)
                found['UNCLEAR'] += 1
                continue
            same = [score.equal(each) for each in wanted]
            if not any(same):
                found['WRONG'] += 1
                continue
            found['old' if same[last] else 'new'] += 1
            last = same.index(True)
        bundles[0].save(folder)
        left = len(list(folder.iterdir()))
    names = ('old', 'new', *FAILURES)
    counts = {name: found[name] for name in names}
    return {'fault': 'killed', 'trials': trials, **counts, 'most_files': most_files,
            'files_after_a_save': left}  # fmt: skip


def _save_apart(bundle: Bundle, folder: Path, kill_after: float | None) -> float:
    """Save in a forked process, and return the seconds until it ends."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            bundle.save(folder)
        finally:
            os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.perf_counter() - start


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _any_file(folder: Path, rng: random.Random) -> Path:
    return rng.choice(_files(folder))


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    (folder / 'bundle.json').write_text(json.dumps(with_digest(record)))


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    torch.set_num_threads(1)  # Threads do not survive a fork.
    rows = [] if args.kills == 0 else [kill_savers(args.kills, args.seed)]
    rows += damage(args.trials, args.seed, list(FAULTS))
    for row in rows:
        print({name: value for name, value in row.items() if name != 'examples'})
    if args.json is not None:
        harness.write(args.json, 'bundle_faults', rows)
    return int(any(row[verdict] for row in rows for verdict in FAILURES))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--trials', type=int, default=200, metavar='N', help='trials per fault')
    add('--kills', type=int, default=200, metavar='N', help='saving processes to kill')
    add('--seed', type=int, default=0)
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
