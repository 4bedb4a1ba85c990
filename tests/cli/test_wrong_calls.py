r"""Wrong calls print one line, exit with code 2 and write nothing."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from pyg_irllrec.cli.app import COMMANDS
from tests.cli.calls import call
from tests.cli.tables import write_books

# The folder has ratings.csv, books.csv, their prepared data (data), a run with a bundle
# (run), a run with truncated weights (torn), and an empty file (nothing).
CALLS = {
    'prepare': {
        '': "Missing option '--interactions'",
        '--interactions ratings.csv': "Missing option '--out'",
        '--interactions nope.csv --out new': 'nope.csv',
        '--interactions nothing --out new': 'nothing',
        '--interactions books.csv --out new': '--user',
        '--interactions ratings.csv --out new --item zzz': 'zzz',
        '--interactions ratings.csv --out new --items nope.csv': 'nope.csv',
        '--interactions ratings.csv --out new --min-rating high': '--min-rating',
        '--interactions ratings.csv --out new --min-rating 99': '--min-rating = 99',
        '--interactions ratings.csv --out new --k-core 0': '--k-core',
        '--interactions ratings.csv --out new --k-core 9999': '--k-core = 9999',
        '--interactions ratings.csv --out new --sep ab': '--sep',
        '--interactions ratings.csv --out new --encoding klingon': 'klingon',
        '--interactions ratings.csv --out new --split sideways': '--split',
        '--interactions ratings.csv --out new --val 2': '--val must be',
        '--interactions ratings.csv --out ratings.csv': 'ratings.csv',
        '--interactions ratings.csv --out run --force': '--out',
        '--interactions ratings.csv --out run/bundle': '--out',
    },
    'intents': {
        '': "Missing argument 'DATA'",
        'data': "Missing option '--llm'",
        'nope --llm extractive': 'nope',
        'run --llm extractive': 'run',
        'data --llm gpt': '--llm',
        'data --llm local': '--model',
        'data --llm https://localhost:1': '--model',
        'data --llm extractive --model x': '--llm extractive uses no model',
        'data --llm extractive --what dreams': '--what',
        'data --llm extractive --max-intents 0': '--max-intents',
        'data --llm extractive --user-prompt nope.txt': 'nope.txt',
        'data --llm extractive --rpm 0': '--rpm must be',
    },
    'train': {
        '': "Missing argument 'DATA'",
        'data': "Missing option '--out'",
        'nope --out new': 'pyg-irllrec prepare --out nope writes it',
        'run --out new': 'run',
        'ratings.csv --out new': 'prepare --interactions ratings.csv --out DATA',
        'data --out new --backbone lightgcnn': ": 'lightgcnn' is not one of 'lightgcn'",
        'data --out new --backbone sglx': "Did you mean 'sgl'?",
        'data --out new --alignment full': 'pyg-irllrec intents',
        'data --out new --missing never': '--missing',
        'data --out new --epochs 0': '--epochs',
        'data --out new --device toaster': 'toaster',
        'data --out new --devices 0': '--devices',
        'data --out new --encoder word2vec': '--encoder',
        'data --out new --precision 8': '--precision',
        'data --out new --preset nope.json': 'nope.json',
        'data --out new --preset nothing': 'nothing',
        'data --out new --unsplit nope': 'nope',
        'data --out new --seed -1': '--seed must be',
        'data --out ratings.csv': 'ratings.csv',
        'data --out new --config nope.yaml': 'nope.yaml',
    },
    'evaluate': {
        '': "Missing argument 'BUNDLE'",
        'nope': 'nope',
        'torn': 'torn',
        'run --k 0': '--k',
        'run --k 9999': '--k',
        'run --metric beauty': 'error: --metric must be one of',
        'run --on sunday': '--on',
        'run --device toaster': 'toaster',
        'run --threads 0': '--threads',
    },
    'recommend': {
        '': "Missing argument 'BUNDLE'",
        'run': '--user ID',
        'nope --user user-001': 'nope',
        'torn --user user-001': 'torn',
        'run --user nobody': 'error: --user must hold ids of users, but there is no',
        'run --item nothing': 'error: --item must hold',
        'run --user user-001 --item book': '--user',
        'run --item "book 1" --out new.csv': '--out',
        'run --item "book 1" --seen': '--seen',
        'run --user user-001 --k 0': '--k',
        'run --user user-001 --among nope.txt': '--among nope.txt',
        'run --user user-001 --exclude nothing': '--exclude nothing',
        'run --user user-001 --intent war=much': '--intent',
        'run --user user-001 --intent war=nan': 'nan',
        'run --user user-001 --intent a=1 --intent a=2': '--intent',
        'run --user user-001 --intent qqqq': 'qqqq',
        'run --user user-001 --dial -1': '--dial',
        'run --user user-001 --dial 2': '--dial needs --intent',
        'run --user user-001 --intent war=1e9': 'error: --intent must hold weights',
        'run --user user-001 --exclude odd.txt': "got 'odd' in line 2",
        'run --user user-001 --index fast': 'fast',
        'run --out new.xlsx': 'error: --out must end in',
        'run --out data': 'data',
    },
    'similar': {
        '': "Missing argument 'BUNDLE'",
        'run': '--item',
        'run --item "book 1" --user user-001': '--item',
        'nope --item "book 1"': 'nope',
        'torn --item "book 1"': 'torn',
        'run --item "The Story of Book 1"': "id is 'book 1'",
        'run --item nothing': 'error: --item must hold',
        'run --user nobody': 'error: --user must hold',
        'run --user user-001 --k many': '--k',
        'run --user user-001 --device toaster': 'toaster',
    },
    'explain': {
        '': "Missing argument 'BUNDLE'",
        'nope': 'nope',
        'torn': 'torn',
        'run --item "book 1"': '--user',
        'run --user nobody': 'nobody',
        'run --user nobody --item "book 1"': 'nobody',
        'run --user user-001 --item nothing': 'nothing',
        'run --user user-001 --item': '--item',
    },
    'serve': {
        '': "Missing argument 'BUNDLE'",
        'nope': 'nope',
        'torn': 'torn',
        'run --port 99999': '--port',
        'run --port http': '--port',
        'run --workers 0': '--workers',
        'run --host nowhere.invalid': "--host 'nowhere.invalid' and --port 8000",
        'run --device toaster': 'toaster',
    },
    'info': {
        '': "Missing argument 'BUNDLE'",
        'nope': 'nope',
        'torn': 'torn',
        'data': 'data',
        'nothing': 'nothing',
        'run --yaml': '--yaml',
        'run more': 'more',
        'run --config nothing.json': 'nothing.json',
    },
    'tune': {
        '': "Missing argument 'DATA'",
        'data': "Missing option '--out'",
        'nope --out new': 'nope',
        'data --out new --trials 0': '--trials',
        'data --out new --epochs 0': '--epochs',
        'data --out new --backbone vgg': '--backbone',
        'data --out new --alignment full': 'intent',
        'data --out new --device toaster': 'toaster',
        'data --out ratings.csv': 'ratings.csv',
    },
    'update': {
        '': "Missing argument 'BUNDLE'",
        'run': '--interactions',
        'nope --interactions ratings.csv': 'nope',
        'torn --interactions ratings.csv': 'torn',
        'run --interactions nope.csv': 'nope.csv',
        'run --interactions nothing': 'nothing',
        'run --interactions books.csv': '--user',
        'run --interactions ratings.csv --item zzz': 'zzz',
        'run --interactions ratings.csv --title title': '--items',
        'run --items nope.csv': 'nope.csv',
        'run --items ratings.csv': '--item-text',
        'run --items books.csv --item-text zzz': 'zzz',
        'run --items books.csv --sep ab': 'ab',
        'run --items books.csv --out ratings.csv': 'ratings.csv',
    },
    'doctor': {
        'more': 'more',
        '--yaml': '--yaml',
        '--json=yes': '--json',
        '--config nothing.json': 'nothing.json',
    },
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory, saved: Path) -> Path:
    folder = tmp_path_factory.mktemp('wrong')
    write_books(folder)
    tables = ('--interactions', folder / 'ratings.csv', '--items', folder / 'books.csv')
    assert call('prepare', *tables, '--out', folder / 'data', '--quiet') == 0
    (folder / 'nothing').touch()
    (folder / 'odd.txt').write_text('book 1\nodd\n')
    for name in ('run', 'torn'):
        shutil.copytree(saved, folder / name)
    (weights,) = (folder / 'torn' / 'bundle').glob('model-*')
    weights.write_bytes(weights.read_bytes()[:-1])
    return folder


def contents(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob('*')}


@pytest.mark.parametrize(
    ('command', 'words', 'part'),
    [(name, *each) for name, calls in CALLS.items() for each in calls.items()],
)
def test_a_wrong_call(command, words, part, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    capsys.readouterr()
    before = contents(folder)
    assert call(command, *shlex.split(words)) == 2
    shown = capsys.readouterr()
    errors = [line for line in shown.err.splitlines() if not line.startswith('note: ')]
    assert len(errors) == 1 and errors[0].startswith('error: '), shown.err
    assert part in errors[0]
    assert contents(folder) == before


def test_every_command_has_wrong_calls():
    assert list(CALLS) == [command.function.__name__ for command in COMMANDS]
    fewest = {'doctor': 4}
    assert all(len(calls) >= fewest.get(name, 8) for name, calls in CALLS.items())
