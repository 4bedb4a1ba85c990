from __future__ import annotations

import json
import shutil

import pytest

from pyg_irllrec.serving import load
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


def test_only_items_into_another_folder(run, capsys):
    assert call('update', run, '--items', 'books.csv', '--out', 'fresh') == 0
    assert '       items: 1 added\n' in capsys.readouterr().out
    assert len(load('fresh').items) == NUM_ITEMS + 1
    assert len(load(run / 'bundle').items) == NUM_ITEMS
    assert len(load('fresh').users) == NUM_USERS
