from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils.folder_lock import FolderLock
from tests.cli.calls import call
from tests.cli.tables import isbn, write_books, write_table

COMMAS = ('--interactions', 'ratings.csv', '--items', 'books.csv')
TABS = (
    *('--interactions', 'ratings.tsv', '--sep', r'\t', '--user', 'reader'),
    *('--item', 'book', '--rating', 'stars', '--timestamp', 'read_at'),
    *('--items', 'books.tsv', '--items-id', 'isbn'),
    *('--item-text', 'title', '--item-text', 'blurb'),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_books(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_columns_are_found_and_printed(capsys):
    assert call('prepare', *COMMAS, '--out', 'data') == 0
    shown = capsys.readouterr().out
    for line in (
        'user: user_id',
        'timestamp: timestamp',
        'title: title',
        'with a text: 30',
    ):
        assert f'{line}\n' in shown
    assert 'rating' not in shown  # Read only with --min-rating.
    graph = DataFolder(Path('data')).split()
    assert graph['item'].title[list(graph['item'].id).index(isbn(1))] == 'Book 1'
    assert graph['item'].text[0].startswith('Book ') and 'time' in graph[RATES]


def test_the_file_name_selects_the_separator(capsys):
    words = ('--interactions', 'ratings.tsv', '--items', 'books.csv')
    assert call('prepare', *words, '--out', 'data') == 0
    shown = capsys.readouterr().out
    assert 'user: reader\n' in shown and 'with a text: 30\n' in shown


def test_folders_of_parquet(folder, capsys):
    for name in ('ratings', 'books'):
        (folder / name / 'part=1').mkdir(parents=True)
        table = pd.read_csv(f'{name}.csv', dtype={'isbn': str})
        table.to_parquet(folder / name / 'part=1' / '0.parquet')
    words = ('--interactions', 'ratings', '--items', 'books')
    assert call('prepare', *words, '--out', 'data', '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert call('prepare', *COMMAS, '--out', 'same', '--json') == 0
    same = json.loads(capsys.readouterr().out)
    assert {**found, 'data': ''} == {**same, 'data': ''}


def test_named_columns_and_json(capsys):
    words = ('--min-rating', 4, '--k-core', 2, '--split', 'leave-one-out', '--seed', 3)
    assert call('prepare', *TABS, *words, '--out', 'data', '--json') == 0
    printed = capsys.readouterr()
    assert 'are theirs and are kept\n' in printed.err  # Without advice on arguments.
    found = json.loads(printed.out)
    assert found['columns']['item_text'] == ['title', 'blurb']
    assert found['columns']['items_id'] == 'isbn' and 'user: reader' in printed.err
    assert found['split'] == 'leave-one-out' and 'split: leave-one-out' in printed.err
    assert found['items left out'] == 30 - found['items']
    parts = [found[name] for name in ('training', 'validation', 'test')]
    assert sum(parts) == found['interactions'] and found['validation'] > 30
    density = found['interactions'] / (found['users'] * found['items'])
    assert found['density'] == density
    options = DataFolder(Path('data')).read_options()
    assert options.model_dump() == {
        **{'min_rating': 4.0, 'k_core': 2, 'split': 'leave_one_out'},
        **{'val': 0.1, 'test': 0.2, 'seed': 3},
    }
    graph = DataFolder(Path('data')).split()
    assert 'sad' not in graph['user'].id  # This user likes nothing.
    assert graph[RATES].edge_index.size(1) == found['training']


def test_parquet_and_json_lines_with_a_random_split(capsys):
    pd.read_csv('ratings.csv', dtype=str).to_parquet('ratings.parquet')
    books = pd.read_csv('books.csv', dtype=str)
    books.to_json('books.jsonl', orient='records', lines=True)
    words = ('--interactions', 'ratings.parquet', '--items', 'books.jsonl')
    assert call('prepare', *words, '--split', 'random', '--out', 'data') == 0
    shown = capsys.readouterr().out
    assert 'timestamp' not in shown and 'split: random' in shown
    graph = DataFolder(Path('data')).split()
    assert 'time' not in graph[RATES] and graph['item'].title[0].startswith('Book')


def test_notes_on_times_ratings_and_items_left_out(folder, capsys):
    likes = [[3, f'u{u}', f'i{(u + k) % 7}', k] for u in range(9) for k in range(4)]
    # One item is liked too rarely, one is disliked, two of items.csv have no ratings.
    likes += [[5, 'u0', 'i7', 0], [1, 'u0', 'i8', 0]]
    write_table(folder / 'few.csv', ['stars', 'user', 'item', 'sold'], likes)
    items = [[f'i{k}', f'Item {k}', 'a b'] for k in range(11)]
    write_table(folder / 'items.csv', ['id', 'title', 'text'], items)
    words = ('--interactions', 'few.csv', '--out', 'data', '--val', 0.3)
    assert call('prepare', *words, '--rating', 'stars') == 0
    shown = capsys.readouterr().out
    assert 'split: random\nthe split is random, because no column of times' in shown
    assert '--rating has no effect without --min-rating' in shown
    assert 'left out' not in shown
    words += ('--rating', 'stars', '--min-rating', 2, '--timestamp', 'sold')
    words += ('--items', 'items.csv', '--k-core', 2, '--force')
    assert call('prepare', *words) == 0
    shown = capsys.readouterr().out
    assert (
        'split: time\nleft out 4 rows of items.csv, whose items have no inter' in shown
    )
    assert call('prepare', *words, '--json') == 0
    assert json.loads(capsys.readouterr().out)['items left out'] == 4


def test_the_same_data_is_kept_and_other_data_needs_force(folder, capsys):
    out = ('--out', 'data')
    assert call('prepare', *COMMAS, *out) == 0
    before = contents(folder / 'data')
    assert call('prepare', *COMMAS, *out) == 0
    assert contents(folder / 'data') == before
    # The split may change without --force.
    assert call('prepare', *COMMAS, *out, '--seed', 1, '--split', 'leave-one-out') == 0
    assert contents(folder / 'data') != before
    assert call('prepare', *COMMAS, *out) == 0
    text = (folder / 'ratings.csv').read_text()
    (folder / 'ratings.csv').write_text(text + f'5,ben,web,{isbn(3)},9\n')
    capsys.readouterr()
    assert call('prepare', *COMMAS, *out) == 2
    assert 'or replace it with --force\n' in capsys.readouterr().err
    # Invalid input replaces nothing.
    for words in (('--user', 'nobody'), ('--min-rating', 9), ('--val', 0)):
        assert call('prepare', *COMMAS, *out, *words, '--force') == 2
    assert contents(folder / 'data') == before
    assert call('prepare', *COMMAS, *out, '--force') == 0
    assert contents(folder / 'data') != before
    assert not list(folder.rglob('.new')) and not list(folder.rglob('.lock'))


def test_a_killed_command_starts_over(folder, capsys):
    assert call('prepare', *COMMAS, '--out', 'data') == 0
    (folder / 'data' / 'options.json').unlink()
    with pytest.raises(
        FileNotFoundError, match='must be a folder that pyg-irllrec prep'
    ):
        DataFolder(Path('data')).open()
    assert call('prepare', *COMMAS, '--out', 'data') == 0
    with FolderLock(folder / 'data'):
        assert call('prepare', *COMMAS, '--out', 'data') == 2
    assert 'data is in use by another run' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--user', 'whom'), "'whom'"),
        (('--sep', ';;'), '--sep must be one character'),
        (('--sep', ';'), '--user must name a column of ratings.csv'),
        (('--interactions', 'none.csv'), 'none.csv'),
        (('--rating', 'source', '--min-rating', '4'), "'web'"),
        (('--min-rating', '9'), 'from 1'),
        (('--split', 'time', '--timestamp', 'source'), "'web'"),
        (('--k-core', '0'), "Invalid value for '--k-core'"),
        (('--k-core', '99'), '99'),
        (('--val', '0.9'), '--val + --test'),
        (('--val', '0'), '--val 0 holds out no interaction'),
        (('--items-id', 'title'), 'books.csv'),
        (('--title', 'name'), "'name'"),
        (('--encoding', 'klingon'), 'klingon'),
    ],
)
def test_bad_input_gets_one_line_and_nothing_is_written(folder, words, message, capsys):
    before = contents(folder)
    assert call('prepare', *COMMAS, '--out', 'data', *words) == 2
    shown = capsys.readouterr()
    error = shown.err.splitlines()[-1]
    assert shown.out == ''
    assert error.startswith('error: ') and message in error, error
    assert contents(folder) == before and not (folder / 'data').exists()


def test_missing_columns_and_small_data_are_errors(folder, capsys):
    likes = [[f'u{u}', f'i{(u + k) % 7}'] for u in range(9) for k in range(4)]
    write_table(folder / 'few.csv', ['user', 'asin'], likes)
    write_table(folder / 'odd.csv', ['sku', 'weight'], [['i1', 3]])
    write_table(folder / 'both.csv', ['user', 'item', 'sku'], [['u', 'i', 's']])
    write_table(
        folder / 'mute.csv', ['asin', 'title'], [[f'i{k}', ''] for k in range(7)]
    )
    few = ('--interactions', 'few.csv', '--out', 'data')
    write_table(folder / 'single.csv', ['user', 'item'], [['u', 'i'], ['v', 'i']])
    write_table(folder / 'pairs.csv', ['user', 'item'], [['u', 'i'], ['u', 'j']])
    single = ('--interactions', 'single.csv', '--out', 'data')
    pairs = ('--interactions', 'pairs.csv', '--out', 'data')
    tabs = (folder / 'ratings.tsv').read_text()
    (folder / 'tabs.csv').write_text(tabs)
    (folder / 'commas.tsv').write_text('user,item\nu,i\n')
    (folder / 'wide.csv').write_text('user,item\nu,i', 'utf-16')
    (folder / 'latin.csv').write_text('user,item\nü,i', 'latin-1')
    (folder / 'torn.csv').write_text(tabs + '4,1\tx\ty\tz\t3\n')
    for words, message in (
        (('--interactions', 'tabs.csv', '--out', 'data'), r"; pass --sep '\t'"),
        (('--interactions', 'torn.csv', '--out', 'data'), "no ',': pass --sep)"),
        (('--interactions', 'wide.csv', '--out', 'data'), "pass --encoding 'utf-16'"),
        (('--interactions', 'latin.csv', '--out', 'data'), '(pass --encoding)'),
        (('--interactions', 'commas.tsv', '--out', 'data'), "; pass --sep ','"),
        ((*few, '--split', 'time'), '--split time needs --timestamp'),
        ((*few, '--min-rating', 3), '--rating must name a column of few.csv'),
        ((*few, '--title', 'x'), '--title needs --items'),
        ((*few, '--items', 'odd.csv'), '--item-text must name columns of odd.csv'),
        ((*few, '--items', 'odd.csv', '--item', 'asin'), '--item-text must name'),
        (('--interactions', 'both.csv', '--out', 'data'), '--item must be given'),
        ((*few, '--items', 'mute.csv'), '--item-text must name columns with texts'),
        (few, 'use a larger fraction, or --split leave-one-out'),
        (
            (*single, '--split', 'leave-one-out'),
            'at least 2 interactions for validation, got 1',
        ),
        (single, 'no --split or --val can hold one out'),
        (
            (*pairs, '--split', 'leave-one-out'),
            'at least 3 interactions, got at most 2',
        ),
        (pairs, 'use a larger fraction and a smaller --test'),
    ):
        assert call('prepare', *words) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert message in error, error
    assert not (folder / 'data').exists()
    assert call('prepare', *few, '--split', 'leave-one-out') == 0
    advised = ('--split', 'random', '--val', 0.5, '--test', 0, '--force')
    assert call('prepare', *pairs, *advised) == 0
