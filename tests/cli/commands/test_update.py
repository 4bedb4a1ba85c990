from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.typing import RATES
from tests.cli.calls import call
from tests.serving.bundles import NUM_ITEMS, NUM_USERS, plain_bundle


@pytest.fixture
def run(saved, tmp_path, monkeypatch):
    r"""A copy of the run, next to tables of new interactions and items."""
    shutil.copytree(saved, tmp_path / 'run')
    monkeypatch.chdir(tmp_path)
    text = plain_bundle().data['item'].text[3]
    (tmp_path / 'new.csv').write_text('user_id,book_id\nuser-003,book 1\nzoe,book 2\n')
    (tmp_path / 'books.csv').write_text(
        f'book_id,title,description\nbook new,A New One,"{text}"\n'
    )
    return tmp_path / 'run'


def test_interactions_and_items_in_place(run, capsys):
    tables = ['--interactions', 'new.csv', '--items', 'books.csv']
    assert call('update', run, *tables, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['bundle'] == str(run / 'bundle')
    assert found['added']['users'] == found['added']['items'] == 1
    fresh = load(run / 'bundle')
    assert 'zoe' in fresh.users and fresh.items.title(NUM_ITEMS) == 'A New One'
    text = plain_bundle().data['item'].text[3]
    assert fresh.data['item'].text[NUM_ITEMS] == f'A New One. {text}'
    assert 'book 1' not in {
        each.item for each in fresh.recommend(['user-003'], 40)['user-003']
    }


def test_ratings_below_the_threshold_of_training_only_count_as_seen(run, capsys):
    Bundle(plain_bundle().model, plain_bundle().data, min_rating=4).save(run / 'bundle')
    rows = ['user_id,book_id,stars', 'user-003,book 11,0.5', 'user-003,book 12,5']
    Path('rated.csv').write_text('\n'.join(rows))
    assert call('update', run, '--interactions', 'rated.csv', '--out', 'fresh') == 0
    shown = capsys.readouterr().out
    assert '      rating: stars\n  min-rating: 4\n' in shown
    assert 'interactions: 1 added\n' in shown
    best = load('fresh').recommend(['user-003'], 40)['user-003']
    assert 'book 11' not in {each.item for each in best}
    # Without ratings, nothing is liked until the user confirms it.
    assert call('update', run, '--interactions', 'new.csv') == 2
    assert '; ratings of at least 4 count as liked' in capsys.readouterr().err
    assert call('update', run, '--interactions', 'rated.csv', '--all-liked') == 0
    shown = capsys.readouterr().out
    assert 'interactions: 2 added\n' in shown and 'rating:' not in shown


def test_only_items_into_another_folder(run, capsys):
    assert call('update', run, '--items', 'books.csv', '--out', 'fresh') == 0
    shown = capsys.readouterr().out
    assert '       items: 1 added\n' in shown
    assert f'\n1 of {NUM_ITEMS + 1} items have no interactions and are ranked' in shown
    assert len(load('fresh').items) == NUM_ITEMS + 1
    assert len(load(run / 'bundle').items) == NUM_ITEMS
    assert len(load('fresh').users) == NUM_USERS


def test_held_out_interactions_that_arrive_are_counted(run, capsys):
    bundle = plain_bundle()
    held_out = bundle.data[RATES].test_edge_label_index
    rows = [f'{bundle.users[u]},{bundle.items[i]}' for u, i in held_out.t().tolist()]
    Path('some.csv').write_text('\n'.join(['user_id,book_id', *rows[:2]]))
    assert call('update', run, '--interactions', 'some.csv') == 0
    left = held_out.size(1) + bundle.data[RATES].val_edge_label_index.size(1) - 2
    expected = f'2 interactions are no longer held out, {left} still are'
    assert expected in capsys.readouterr().out
    assert call('evaluate', run) == 0
    Path('all.csv').write_text('\n'.join(['user_id,book_id', *rows]))
    assert call('update', run, '--interactions', 'all.csv') == 0
    assert f'{left} interactions are no longer held out, 0 still' in (
        capsys.readouterr().out
    )
    assert call('evaluate', run) == 2
    assert 'update adds them to training' in capsys.readouterr().err
