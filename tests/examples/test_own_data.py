from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from pyg_irllrec.nn import Recommender
from pyg_irllrec.text.intents.intent_file import load_intents
from pyg_irllrec.utils.folder_lock import FolderLock
from tests.cli.tables import write_books, write_table
from tests.examples.run_example import Done, run_example

pytest.importorskip('pyarrow')

FILES = ('--interactions', 'ratings.tsv', '--sep', r'\t')
COLUMNS = (*FILES, '--user', 'reader', '--item', 'book')
RATED = ('--rating', 'stars', '--min-rating', '4', '--timestamp', 'read_at')
TEXTS = ('--items', 'books.tsv', '--items-id', 'isbn', '--item-text', 'title', 'blurb')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_books(tmp_path)
    return tmp_path


def call(folder: Path, *args: object) -> Done:
    options = ('--out', 'out', '--quiet', '--device', 'cpu', '--epochs', 2)
    return run_example('own_data', *args, *options, cwd=folder)


def test_a_trained_model_is_asked_again(folder):
    # What was killed in its first seconds left nothing: a new run begins.
    asked = (*COLUMNS, *RATED, *TEXTS, '--k', 3, '--resume')
    done = call(folder, *asked, '--recommend-for', 'anna')
    assert done.returncode == 0, done.stderr
    weights = (folder / 'out' / 'model' / 'best.ckpt').read_bytes()
    again = call(folder, *asked, '--recommend-for', 'r5')
    assert again.returncode == 0, again.stderr
    assert 'User r5' in again.stdout
    assert (folder / 'out' / 'model' / 'best.ckpt').read_bytes() == weights
    other = call(folder, *asked, '--seed', 1)
    assert other.returncode == 2 and 'seed=0' in other.stderr


def test_fewer_items_than_the_cutoffs(tmp_path):
    """Without ratings, times and texts; for all users."""
    likes = [[f'u{u}', f'i{(u + k) % 7}'] for u in range(9) for k in range(5)]
    write_table(tmp_path / 'ratings.tsv', ['reader', 'book'], likes, '\t')
    done = call(tmp_path, *COLUMNS)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert set(metrics) == {'recall@5', 'ndcg@5'}
    with open(tmp_path / 'out' / 'recommendations.csv') as file:
        rows = list(csv.DictReader(file))
    # Two of seven items are new to each.
    assert len(rows) == 2 * 9
    assert '9 of 9 users have fewer than 7 items left' in done.stdout
    pytest.importorskip('matplotlib')
    done = run_example('explain', '--run', 'out', cwd=tmp_path)
    assert done.returncode == 2 and 'with --item-text' in done.stderr


def test_a_run_is_explained_once_its_blend_is_chosen(folder, monkeypatch):
    pytest.importorskip('matplotlib')

    def stop(*_: object, **__: object) -> None:
        raise OSError('stopped')

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, 'calibrate', stop)
        assert call(folder, *COLUMNS, *TEXTS).returncode == 2
    assert (folder / 'out' / 'model' / 'best.ckpt').exists()
    done = run_example('explain', '--run', 'out', cwd=folder)
    assert done.returncode == 2 and 'continue it with --resume' in done.stderr
    assert call(folder, *COLUMNS, *TEXTS, '--resume').returncode == 0
    done = run_example('explain', '--run', 'out', cwd=folder)
    assert done.returncode == 0, done.stderr


HOSTILE = (
    *('=cmd()', '@x', '+1', '-2', "'q", 'a\x1b[31m', 'b\u202ec', '../../i7'),
    'i"8',
)


def test_ids_that_a_spreadsheet_or_a_terminal_would_act_on(tmp_path):
    likes = [[HOSTILE[u], HOSTILE[(u + k) % 9]] for u in range(9) for k in range(5)]
    items = [
        [item, f'\x1b]0;title {item}\x07 word{k}'] for k, item in enumerate(HOSTILE)
    ]
    write_table(tmp_path / 'ratings.tsv', ['reader', 'book'], likes, '\t')
    write_table(tmp_path / 'books.tsv', ['book', 'title'], items, '\t')
    done = call(tmp_path, *COLUMNS, '--items', 'books.tsv', '--item-text', 'title')
    assert done.returncode == 0, done.stderr
    for char in '\x1b\x07\u202e':
        assert char not in done.stdout + done.stderr
    assert r'a\x1b[31m' in done.stdout
    with open(tmp_path / 'out' / 'recommendations.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    cells = {row[side] for row in rows for side in ('user', 'item')}
    assert not [cell for cell in cells if cell[0] in '=+-@\t\r']
    assert {cell[cell[0] == "'" :] for cell in cells} == set(HOSTILE)
    made_from = json.loads((tmp_path / 'out' / 'recommendations.json').read_text())
    metrics = json.loads((tmp_path / 'out' / 'model' / 'metrics.json').read_text())
    assert made_from['fingerprint'] == metrics['fingerprint']
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {'data', 'model', 'metrics.json'} | {
        f'recommendations.{kind}' for kind in ('csv', 'json')
    }
    # Numbers are no formulas.
    likes = [[u - 4, (u + k) % 9 - 4] for u in range(9) for k in range(5)]
    write_table(tmp_path / 'ratings.tsv', ['reader', 'book'], likes, '\t')
    done = call(tmp_path, *COLUMNS)
    assert done.returncode == 0 and 'moved the earlier run' in done.stdout
    table = tmp_path / 'out' / 'recommendations.csv'
    assert table.read_text().splitlines()[1].startswith('-4,')
    # What the earlier run recommended lies with its model and its data.
    assert '=cmd()' in (tmp_path / 'out.1' / 'recommendations.csv').read_text()
    names = {path.name for path in (tmp_path / 'out.1').iterdir()}
    assert names == {'data', 'model', 'metrics.json'} | {
        f'recommendations.{kind}' for kind in ('csv', 'json')
    }


def extract(folder: Path, what: str, *args: object) -> None:
    """Profiles or intents in the file that is named after them."""
    options = (*COLUMNS, *RATED, *TEXTS, '--llm', 'extractive', '--quiet')
    written = ('--what', what, '--out', f'{what}.jsonl')
    done = run_example('extract_intents', *options, *written, *args, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_profiles_of_a_language_model(folder):
    pytest.importorskip('matplotlib')
    for what in ('profiles', 'intents'):
        extract(folder, what)
    asked = (*COLUMNS, *RATED, *TEXTS)
    # Neither those of other options, nor a file of something else.
    for args, message in (
        (('--profiles', 'profiles.jsonl', '--k-core', 2), 'the profiles of profiles.'),
        (('--profiles', 'intents.jsonl'), 'must hold profiles'),
        (('--intents', 'profiles.jsonl'), 'must hold intents'),
    ):
        done = call(folder, *asked, *args)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (folder / 'out' / 'model').exists()
    both = ('--profiles', 'profiles.jsonl', '--intents', 'intents.jsonl')
    done = call(folder, *asked, *both, '--recommend-for', 'anna')
    assert done.returncode == 0, done.stderr
    records = load_intents(folder / 'profiles.jsonl').records
    (anna,) = (r for r in records if r.side == 'user' and r.id == 'anna')
    # The run keeps its own.
    (folder / 'moved').mkdir()
    for path in (*folder.glob('profiles.*'), *folder.glob('intents.*')):
        path.rename(folder / 'moved' / path.name)
    explain = ('--run', 'out', '--recommend-for', 'anna', '--k', 1)
    done = run_example('explain', *explain, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert anna.profile[:60] in done.stdout and 'intents in words' in done.stdout
    other = ('--profiles', 'moved/intents.jsonl')
    done = run_example('explain', *explain, *other, cwd=folder)
    assert done.returncode == 2 and 'must hold the profiles that' in done.stderr
    # Without profiles, it is another run, which moves them with the first.
    done = call(folder, *asked, '--intents', 'moved/intents.jsonl', '--resume')
    assert done.returncode == 2 and 'profiles_sha256' in done.stderr
    assert call(folder, *asked).returncode == 0
    assert not (folder / 'out' / 'profiles.jsonl').exists()
    explain = ('--run', 'out.1', *explain[2:])
    done = run_example('explain', *explain, cwd=folder)
    assert done.returncode == 0 and anna.profile[:60] in done.stdout, done.stderr


@pytest.mark.parametrize('what', ['profiles', 'intents'])
def test_texts_of_items_alone_are_refused(folder, what):
    extract(folder, what, '--sides', 'item')
    done = call(folder, *COLUMNS, *RATED, *TEXTS, f'--{what}', f'{what}.jsonl')
    assert done.returncode == 2
    assert f"must hold {what} of each node of 'user'" in done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_second_run_that_fails_leaves_the_first_as_it_was(folder):
    asked = (*COLUMNS, *TEXTS, '--recommend-for')
    done = call(folder, *asked, 'anna')
    assert done.returncode == 0, done.stderr
    before = contents(folder / 'out')
    rows = (folder / 'ratings.tsv').read_text().splitlines(keepends=True)
    (folder / 'ratings.tsv').write_text(''.join(rows[:-20]))
    done = call(folder, *asked, 'nobody')
    assert done.returncode == 2 and 'got nobody' in done.stderr
    assert contents(folder / 'out') == before
    # Other data are not those of the run.
    done = call(folder, *asked, 'anna', '--resume')
    assert done.returncode == 2 and 'begun with other training' in done.stderr
    assert contents(folder / 'out') == before
    # The same rows in another order are.
    (folder / 'ratings.tsv').write_text(''.join([rows[0], *rows[:0:-1]]))
    done = call(folder, *asked, 'anna', '--resume')
    assert done.returncode == 0, done.stderr
    kept = {name for name in before if name.startswith(('data', 'model'))}
    after = contents(folder / 'out')
    assert {name: after[name] for name in kept - {'model/metrics.json'}} == {
        name: before[name] for name in kept - {'model/metrics.json'}
    }
    # One that succeeds moves all of the first, which is still a run.
    done = call(folder, *asked, 'anna', '--seed', 1)
    assert done.returncode == 0 and f'moved the earlier run to {folder}' in done.stdout
    moved = contents(folder / 'out.1')
    assert moved == after


def test_a_second_run_leaves_the_first_alone(folder):
    out = folder / 'out'
    with FolderLock(out):
        for args in ((), ('--resume',)):
            done = call(folder, *COLUMNS, *args)
            assert done.returncode == 2
            assert done.stderr == (
                'error: out is in use by another run: wait for its end, or choose '
                'another folder\n'
            )
        assert [path.name for path in out.iterdir()] == ['.lock']


@pytest.mark.parametrize(
    'name', ['config.json', 'last.ckpt', 'recommendations.csv', 'recommendations.json']
)
def test_a_full_disk_gets_one_line(folder, monkeypatch, name):
    replace = os.replace

    def full(source: object, target: object) -> None:
        if Path(str(target)).name == name:
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', full)
        done = call(folder, *COLUMNS)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    full_disk = f'{name} could not be written: No space left on device'
    assert done.stderr.endswith(f'{full_disk}: continue with --resume\n')
    done = call(folder, *COLUMNS, '--resume')
    assert done.returncode == 0 and (folder / 'out' / 'recommendations.csv').exists()


def empty(folder: Path) -> None:
    (folder / 'ratings.tsv').write_text('')


def words(folder: Path) -> None:
    with open(folder / 'ratings.tsv', 'a') as file:
        file.write('good\tanna\tweb\t0195153407\t5\n')


def few(folder: Path) -> None:
    likes = [[f'u{u}', f'i{(u + k) % 7}'] for u in range(9) for k in range(4)]
    write_table(folder / 'ratings.tsv', ['reader', 'book'], likes, '\t')


def other_ids(folder: Path) -> None:
    write_table(folder / 'books.tsv', ['title', 'isbn', 'blurb'], [['x', 7, 'y']], '\t')


def two_texts(folder: Path) -> None:
    with open(folder / 'books.tsv', 'a') as file:
        file.write('Another\t0195153407\tbook\n')


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ('damage', 'args', 'message'),
    [
        (nothing, (*FILES, '--user', 'whom', '--item', 'book'), "'whom'"),
        (nothing, (*COLUMNS, '--sep', ';;'), 'must be one character'),
        (empty, COLUMNS, 'ratings.tsv'),
        (few, COLUMNS, 'must hold users with 5 interactions or more'),
        (words, (*COLUMNS, *RATED), "'good'"),
        (other_ids, (*COLUMNS, *TEXTS), 'books.tsv'),
        (two_texts, (*COLUMNS, *TEXTS), '0195153407'),
        (nothing, (*COLUMNS, '--recommend-for', 'u999'), 'got u999, which is not'),
        (nothing, (*COLUMNS, *RATED, '--recommend-for', 'sad'), 'too few (liked)'),
        (nothing, (*COLUMNS, '--rating', 'stars', '--min-rating', '9'), 'from 1'),
        (nothing, (*COLUMNS, '--min-rating', '4'), '--min-rating needs --rating'),
        (nothing, (*COLUMNS, '--k', '0'), 'must be a positive integer'),
        (nothing, (*COLUMNS, '--k', '41'), '--k must be at most the number of items'),
        (nothing, (*COLUMNS, '--intents', 'x.jsonl'), '--intents needs --item-text'),
        (nothing, (*COLUMNS, *TEXTS, '--intents', 'x.jsonl'), 'x.jsonl'),
        (nothing, (*COLUMNS, '--profiles', 'x.jsonl'), '--profiles needs --item-text'),
        (nothing, (*COLUMNS, *TEXTS, '--profiles', 'x.jsonl'), 'x.jsonl'),
        (nothing, (*COLUMNS, *TEXTS, '--profiles', '.'), 'must end in .jsonl'),
        (nothing, (*COLUMNS, *TEXTS, '--alignment', 'full'), 'needs --intents'),
        (nothing, (*COLUMNS, '--backbone', 'alpharec'), 'needs --item-text'),
        (nothing, (*COLUMNS, '--items-id', 'isbn'), '--items-id needs --items'),
        (nothing, (*COLUMNS, '--items', 'books.tsv'), '--items needs --item-text'),
    ],
)
def test_bad_input_gets_one_line(folder, damage, args, message):
    damage(folder)
    done = call(folder, *args)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert 'error: ' in last and message in last, last
    assert not (folder / 'out' / 'model').exists()
