from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_irllrec.datasets import SyntheticIntents

pytest.importorskip('pyarrow')

SCRIPT = Path(__file__).parents[2] / 'examples' / 'own_data.py'
COLUMNS = ('--user', 'who', '--item', 'what')
RATED = ('--rating', 'stars', '--min-rating', '4', '--timestamp', 'when')
TEXTS = ('--items', 'items.csv', '--item-text', 'title', 'kind')


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with open(path, 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = SyntheticIntents(60, 40, num_intents=4)[0]
    rates = data['user', 'rates', 'item']
    pairs = [
        (f'u{user}', 100 + item)
        for index in (rates.edge_index, rates.val_edge_label_index)
        for user, item in index.t().tolist()
    ]
    rows = [[who, what, 4 + k % 2, k] for k, (who, what) in enumerate(pairs)]
    # Two that somebody did not like, and somebody who likes nothing.
    rows += [['u3', 101, 1, 0], ['u1', 139, 2, 0], ['sad', 100, 1, 0]]
    write(tmp_path / 'ratings.csv', ['who', 'what', 'stars', 'when'], rows)
    titles = [
        [100 + k, f'Item {k}', text] for k, text in enumerate(data['item'].profile_text)
    ]
    write(tmp_path / 'items.csv', ['what', 'title', 'kind'], titles)
    return tmp_path


def call(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), '--interactions', 'ratings.csv', *args]
    options = ['--out', 'out', '--quiet', '--device', 'cpu', '--epochs', '2']
    return subprocess.run(command + options, cwd=folder, capture_output=True, text=True)


def test_recommends_with_the_ids_that_came_in(folder):
    asked = ('--recommend-for', 'u3', 'u1', '--k', '4')
    done = call(folder, *COLUMNS, *RATED, *TEXTS, *asked)
    assert done.returncode == 0, done.stderr
    assert 'User u3' in done.stdout and 'Item ' in done.stdout
    with open(folder / 'out' / 'recommendations.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['user'] for row in rows] == ['u3'] * 4 + ['u1'] * 4
    assert [row['rank'] for row in rows] == ['1', '2', '3', '4'] * 2
    with open(folder / 'ratings.csv') as file:
        known = {(row['who'], row['what']) for row in csv.DictReader(file)}
    assert {('u3', '101'), ('u1', '139')} <= known
    assert not known & {(row['user'], row['item']) for row in rows}
    assert all(100 <= int(row['item']) < 140 for row in rows)
    scores = [float(row['score']) for row in rows[:4]]
    assert scores == sorted(scores, reverse=True)
    assert 'recall@20' in json.loads((folder / 'out' / 'metrics.json').read_text())
    assert (folder / 'out' / 'model' / 'best.ckpt').is_file()

    # The model is there: asked for others, it is not trained again.
    again = call(folder, *COLUMNS, *RATED, *TEXTS, '--recommend-for', 'u5', '--resume')
    assert again.returncode == 0, again.stderr
    assert 'User u5' in again.stdout


def test_without_ratings_times_and_texts(folder):
    done = call(folder, *COLUMNS, '--k', '3')
    assert done.returncode == 0, done.stderr
    with open(folder / 'out' / 'recommendations.csv') as file:
        assert len({row['user'] for row in csv.DictReader(file)}) == 61


def empty(folder: Path) -> None:
    (folder / 'ratings.csv').write_text('')


def words(folder: Path) -> None:
    text = (folder / 'ratings.csv').read_text()
    (folder / 'ratings.csv').write_text(text + 'u1,101,good,5\n')


def other_ids(folder: Path) -> None:
    write(folder / 'items.csv', ['what', 'title', 'kind'], [[7, 'Seven', 'x']])


def two_texts(folder: Path) -> None:
    text = (folder / 'items.csv').read_text()
    (folder / 'items.csv').write_text(text + '101,Another,kind\n')


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ('damage', 'args', 'message'),
    [
        (nothing, ('--user', 'whom', '--item', 'what'), "'whom'"),
        (empty, COLUMNS, 'ratings.csv'),
        (words, (*COLUMNS, *RATED), "'good'"),
        (other_ids, (*COLUMNS, *TEXTS), 'items.csv'),
        (two_texts, (*COLUMNS, *TEXTS), '101'),
        (nothing, (*COLUMNS, '--recommend-for', 'u999'), 'u999, who is not there'),
        (nothing, (*COLUMNS, *RATED, '--recommend-for', 'sad'), 'too few liked'),
        (nothing, (*COLUMNS, '--rating', 'stars', '--min-rating', '9'), 'from 1'),
        (nothing, (*COLUMNS, '--min-rating', '4'), '--min-rating needs --rating'),
        (nothing, (*COLUMNS, '--k', '0'), 'must be a positive integer'),
        (
            nothing,
            (*COLUMNS, '--k', '41'),
            "'--k' must be from 1 to the number of items, 40",
        ),
        (nothing, (*COLUMNS, '--resume'), 'holds no run to resume'),
        (nothing, (*COLUMNS, '--intents', 'x.jsonl'), '--intents needs --item-text'),
        (nothing, (*COLUMNS, *TEXTS, '--intents', 'x.jsonl'), 'x.jsonl'),
        (nothing, (*COLUMNS, *TEXTS, '--alignment', 'full'), 'full needs --intents'),
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
