r"""From the wheel to a served recommendation, in an environment of its own.

    python .ci/wheel_check.py .venv-wheel dist constraints.txt

What git tracks of the package must be in the wheel and in the sdist, and the sdist must
build the same wheel. The environment has torch; the bare wheel is installed into it:
what needs an extra must name it. Then the extra `serve` is installed, and the commands
of docs/start.md run as they are printed there, on two small files, from an empty
folder, until curl has got a recommendation and the service has stopped. Last, the
sdist replaces the wheel, and tests of the unpacked sdist run on it.
"""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SECTION = '## From two CSVs to a recommender'
# What needs an extra that is not installed, and the extra that its error names.
BARE = {
    'import pyg_irllrec.training': 'train',
    'import pyg_irllrec.serving.http': 'serve',
    'from pyg_irllrec.datasets import InteractionDataset; InteractionDataset("x")': (
        'data'
    ),
    'from pyg_irllrec.text import OpenAIChat; OpenAIChat("m")': 'llm',
    'from pyg_irllrec.plot import learning_curves; '
    'learning_curves([{"epoch": 1, "loss": 2.0}], "x.png")': 'plot',
    'from pyg_irllrec.transforms import SymmetricAdjacency; '
    'SymmetricAdjacency("sparse_tensor")': 'sparse',
    'from pyg_irllrec.cli.main import main; main([])': 'cli',
}
SERVE = {
    'from pyg_irllrec.text import SentenceEncoder; SentenceEncoder("m")(["a"])': 'text',
    'from pyg_irllrec.text import OpenAIEncoder; OpenAIEncoder("m")(["a"])': 'llm',
    'from pyg_irllrec.serving import Bundle; Bundle.from_pretrained("a/b")': 'hub',
    'from pyg_irllrec.cli.main import main; '
    'main(["tune", "data/books", "--out", "tuned"])': 'tune',
}
TRY_ALL = """
import contextlib, io, json, sys
import pyg_irllrec.serving
for code, extra in json.loads(sys.argv[1]).items():
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            exec(code)
    except (ImportError, SystemExit) as error:
        text = f"{shown.getvalue()}{error}"
        assert f"pip install 'pyg_irllrec[{extra}]'" in text, (code, text)
    else:
        raise AssertionError(f"{code} works without the extra {extra!r}")
"""
# Of the unpacked sdist: quick, and over every floor.
TESTS = ('test_package.py', 'test_doctor.py', 'test_presets.py', 'functional/test_*.py')
TESTS += ('utils', 'transforms', 'serving/test_save.py', 'cli/commands/test_info.py')
TOPICS = {
    'Mystery': 'rainy foggy silent crooked hidden locked'.split(),
    'Space': 'distant orbital frozen red endless solar'.split(),
    'Garden': 'wild quiet green walled summer kitchen'.split(),
}


def main(venv: str, dist: str, constraints: str) -> None:
    started = time.monotonic()
    (wheel,), (sdist,) = Path(dist).glob('*.whl'), Path(dist).glob('*.tar.gz')
    check_contents(wheel, sdist)
    python = Path(venv).absolute() / 'bin' / 'python'
    install(python, constraints, str(wheel))
    with tempfile.TemporaryDirectory() as folder:
        check_extras(python, BARE, Path(folder))
        install(python, constraints, f'{wheel}[serve]')
        run_commands(python.parent, Path(folder))
        check_extras(python, SERVE, Path(folder))
        check_sdist(python, constraints, wheel, sdist, Path(folder))
    print(f'the wheel works ({time.monotonic() - started:.0f} s)')


def check_contents(wheel: Path, sdist: Path) -> None:
    r"""The page of the service, say, is no Python file and easily left out."""
    tracked = subprocess.run(
        ['git', 'ls-files', 'pyg_irllrec'],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition('/')[2] for name in archive.getnames()}
    for path, names in ((wheel, in_wheel), (sdist, in_sdist)):
        missing = sorted(set(tracked) - names)
        assert not missing, f'{path} lacks {missing}'


def install(python: Path, constraints: str, *what: str) -> None:
    run(python, '-m', 'pip', 'install', '--quiet', '--constraint', constraints, *what)


def check_extras(python: Path, calls: dict[str, str], folder: Path) -> None:
    r"""What lacks an extra names it, and serving/ lacks none."""
    run(python, '-c', TRY_ALL, json.dumps(calls), cwd=folder)


def check_sdist(
    python: Path, constraints: str, wheel: Path, sdist: Path, folder: Path
) -> None:
    r"""It builds the wheel again, and its tests pass once it is installed."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter='data')
    source = folder / sdist.name.removesuffix('.tar.gz')
    (source / 'built').mkdir()
    build = 'from flit_core import buildapi; buildapi.build_wheel("built")'
    run(sys.executable, '-c', build, cwd=source)
    assert contents(source / 'built' / wheel.name) == contents(wheel)
    install(python, constraints, '--force-reinstall', '--no-deps', str(sdist))
    install(python, constraints, 'pytest', 'hypothesis', 'httpx', 'polars')
    shutil.rmtree(source / 'pyg_irllrec')  # Else it would be tested.
    tests = source / 'tests'
    paths = [path for name in TESTS for path in sorted(tests.glob(name))]
    run(python, '-m', 'pytest', '-q', '-x', '-W', 'ignore', *paths, cwd=source)


def contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {each.filename: each.CRC for each in archive.infolist()}


def run_commands(bin: Path, folder: Path) -> None:
    write_tables(folder)
    port = free_port()
    service = None
    environment = {**os.environ, 'PATH': f'{bin}{os.pathsep}{os.environ["PATH"]}'}
    try:
        for line in page_commands():
            line = line.replace(':8000', f':{port}')
            print('$', line, flush=True)
            if line.startswith('pyg-irllrec serve'):
                words = [*shlex.split(line.rstrip(' &')), '--port', str(port)]
                service = subprocess.Popen(words, cwd=folder, env=environment)
                wait_until_healthy(port, service)
                continue
            shown = subprocess.run(
                line, shell=True, cwd=folder, env=environment, check=True,
                stdout=subprocess.PIPE, text=True,
            ).stdout  # fmt: skip
            print(shown[:2000], flush=True)
            if line.startswith('curl'):
                assert any(topic in shown for topic in TOPICS), 'no title was served'
                json.loads(shown)
                check_page(port)
        assert service is not None, 'the commands of docs/start.md serve nothing'
        service.send_signal(signal.SIGTERM)
        code = service.wait(timeout=30)
        assert code == 0, f'the service stopped with {code}'
    finally:
        if service is not None and service.poll() is None:
            service.kill()


def check_page(port: int) -> None:
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=10) as page:
        assert b'<html' in page.read(), 'there is no page at /'


def page_commands() -> Iterator[str]:
    r"""The commands of the section, but for those that install."""
    text = (ROOT / 'docs' / 'start.md').read_text(encoding='utf-8')
    section = text.partition(SECTION)[2].partition('\n## ')[0]
    block = section.partition('```sh\n')[2].partition('```')[0]
    assert block, f'docs/start.md has no commands under {SECTION!r}'
    for line in block.replace('\\\n', ' ').splitlines():
        if line.strip() and not line.startswith(('pip ', '#')):
            yield line.strip()


def write_tables(folder: Path, num_users: int = 90, per_topic: int = 20) -> None:
    r"""Users who like one topic each, and titles that show it."""
    draw = random.Random(0)
    books = [
        (f'b{topic[0]}{number}', topic, f'The {draw.choice(words).title()} {topic}')
        for topic, words in TOPICS.items()
        for number in range(per_topic)
    ]
    lines = ['book_id,title,description']
    lines += [
        f'{book},{title} {book[2:]},a {topic} book' for book, topic, title in books
    ]
    (folder / 'books.csv').write_text('\n'.join(lines), encoding='utf-8')
    lines = ['user_id,book_id,rating']
    for number in range(num_users):
        user = ('anna', 'ben')[number] if number < 2 else f'reader {number}'
        liked = list(TOPICS)[number % len(TOPICS)]
        own = [book for book, topic, _ in books if topic == liked]
        for book in draw.sample(own, 10):
            lines.append(f'{user},{book},{draw.choice([4, 5])}')
    (folder / 'ratings.csv').write_text('\n'.join(lines), encoding='utf-8')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(
    port: int, service: subprocess.Popen[bytes], seconds: float = 60
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert service.poll() is None, f'the service ended with {service.returncode}'
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{port}/health', timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f'the service was not there after {seconds:.0f} s')


def run(*words: object, cwd: Path | None = None) -> None:
    subprocess.run(list(map(str, words)), check=True, cwd=cwd)


if __name__ == '__main__':
    main(*sys.argv[1:])
