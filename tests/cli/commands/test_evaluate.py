from __future__ import annotations

import copy
import json

import pytest

from pyg_irllrec.nn import EASE
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.training import evaluate_ranker
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils import UserItems
from tests.cli.calls import call
from tests.serving.bundles import plain_bundle


def test_cutoffs_metrics_and_baselines(saved, capsys):
    words = ('--k', 3, '--k', 7, '--metric', 'mrr', '--metric', 'recall')
    words += ('--on', 'val', '--baselines', '--json')
    assert call('evaluate', saved, *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop('on') == 'val'
    assert found.pop('ranked_by_text') == {'users': 0, 'items': 0}
    options = found.pop('options')['EASE']
    assert list(found) == ['model', 'Popularity', 'EASE']
    bundle = load(saved / 'bundle')
    rates, size = bundle.data[RATES], (len(bundle.users), len(bundle.items))
    held_out = UserItems(rates.val_edge_label_index, *size)
    train = UserItems(rates.edge_index, *size)
    ease = EASE(*size, rates.edge_index)
    ease.calibrate(held_out, train)
    assert options == {
        **ease.options,
        'validation_interactions': rates.val_edge_label_index.size(1),
    }
    for name, ranker in (('model', bundle.model), ('EASE', ease)):
        expected = evaluate_ranker(
            ranker, held_out, train, (3, 7), metrics=('mrr', 'recall')
        )
        assert found[name] == pytest.approx(expected)


def test_metrics_of_the_test_part_as_a_table(saved, capsys):
    assert call('evaluate', saved) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == [
        f'{name}@{k}' for name in ('recall', 'ndcg') for k in (5, 10, 20)
    ]
    assert row.split()[0] == 'model' and len(row) == len(head)


def test_ease_without_validation_has_its_default_options(tmp_path, capsys):
    bundle = plain_bundle()
    data = copy.copy(bundle.data)
    del data[RATES].val_edge_label_index
    Bundle(bundle.model, data, encoder=bundle.encoder).save(tmp_path)
    assert call('evaluate', tmp_path, '--baselines') == 0
    assert 'default l2_weight=200: no validation' in capsys.readouterr().out


def test_item_knn_takes_the_place_of_ease_with_many_items(saved, capsys, monkeypatch):
    monkeypatch.setattr('pyg_irllrec.cli.commands.evaluate.MAX_EASE_ITEMS', 1)
    assert call('evaluate', saved, '--baselines') == 0
    out = capsys.readouterr().out
    assert 'ItemKNN has exponent=' in out and 'EASE' not in out


def test_users_and_items_ranked_by_text_are_counted(tmp_path, capsys):
    new = {'new': 'a chess set', 'boots': 'boots for hiking'}
    plain_bundle().update(items=new, users={'zoe': 'hiking'}).save(tmp_path)
    assert call('evaluate', tmp_path, '--k', 5) == 0
    assert (
        '2 items and 1 users without training interactions' in capsys.readouterr().out
    )
    assert call('evaluate', tmp_path, '--k', 5, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['ranked_by_text'] == {'users': 1, 'items': 2}


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--k', 1000), '--k must be at most the number of items'),
        (('--metric', 'hits'), "got 'hits'"),
        (('--on', 'train'), "Invalid value for '--on'"),
        (('--device', 'abacus'), '--device must be'),
    ],
)
def test_bad_input_gets_one_line(saved, words, message, capsys):
    assert call('evaluate', saved, *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1
