from __future__ import annotations

import sys

import numpy as np
import pandas
import pytest
import torch

from pyg_irllrec.nn.models._blend import standardise
from tests.serving.bundles import bare_bundle, plain_bundle

USERS = ['user-003', 'user-000', 'user-059']


def rows_of(best):
    return [
        best.items.rows([each.item for each in best[user]], 'x') for user in best.users
    ]


@pytest.mark.parametrize('make', [plain_bundle, bare_bundle])
def test_all_users_as_the_model_ranks_them(make):
    bundle = make()
    users = torch.arange(bundle.model.num_users)
    best = bundle.recommend(k=5)
    item, score = bundle.model.recommend(users, 5, exclude=bundle.seen)
    assert best.item.equal(item) and best.score.equal(score)
    assert best.users == list(bundle.users)


def test_users_in_any_order_and_repeated():
    bundle = plain_bundle()
    best = bundle.recommend([*USERS, USERS[0]], k=3, batch_size=2)
    assert best.users == [*USERS, USERS[0]]
    rows = torch.tensor([3, 0, 59, 3])
    item, score = bundle.model.recommend(rows, 3, exclude=bundle.seen, batch_size=2)
    assert best.item.equal(item) and best.score.equal(score)


@pytest.mark.parametrize(
    'users',
    [
        ['7', '9'],
        (7, 9),
        np.array([7, 9], np.uint8),
        [np.int32(7), np.float64(9)],
        torch.tensor([7, 9]),
        list(torch.tensor([7, 9])),
        pandas.Series([7.0, 9.0]),
        iter([7, ' 9 ']),
    ],
)
def test_ids_of_every_kind(users):
    best = bare_bundle().recommend(users, k=2)
    assert best.users == [7, 9]
    assert best.item.equal(bare_bundle().recommend(k=2).item[[7, 9]])


def test_among_candidates():
    bundle = plain_bundle()
    among = ['book 3', 'book 17', 'book 3', 'book 30', 'book 39']
    best = bundle.recommend(USERS, k=10, among=among, seen=True)
    assert best.item.shape == (3, 4)
    scores = bundle.model.score(torch.tensor([3, 0, 59]))[:, [3, 17, 30, 39]]
    order = scores.argsort(dim=1, descending=True)
    assert best.item.equal(torch.tensor([3, 17, 30, 39])[order])
    assert best.score.equal(scores.gather(1, order))
    assert bundle.recommend(USERS, among=[]).item.shape == (3, 0)
    assert bundle.recommend(USERS, among=[])[USERS[0]] == []


def test_seen_and_excluded_items():
    bundle = plain_bundle()
    everything = bundle.recommend(USERS, k=40, seen=True)
    assert (everything.item >= 0).all()
    best = bundle.recommend(USERS, k=40, exclude=['book 3', 'book 17'])
    for user, row, items in zip(USERS, (3, 0, 59), rows_of(best)):
        seen = bundle.seen.lookup(torch.tensor([row]))[1].tolist()
        assert set(items.tolist()) == set(range(40)) - {3, 17, *seen}
        assert len(best[user]) < 40
    assert not set(bundle.seen.lookup(torch.tensor([3]))[1].tolist()).isdisjoint(
        everything.item[0].tolist()
    )


def test_more_items_than_there_are():
    best = plain_bundle().recommend(USERS, k=10**6, seen=True)
    assert best.item.sort().values.equal(torch.arange(40).expand(3, -1))


def test_no_users():
    best = plain_bundle().recommend([], k=3)
    assert len(best) == 0 and best.item.shape == (0, 3)


def test_steered():
    bundle = plain_bundle()
    wanted = {bundle.data['item'].text[5]: 1.0}
    plain = bundle.recommend(USERS, k=40, seen=True)
    assert bundle.recommend(USERS, k=40, seen=True, intents=wanted, dial=0).score.equal(
        plain.score
    )
    best = bundle.recommend(USERS, k=40, seen=True, intents=wanted, dial=100.0)
    assert (best.item == 5).nonzero()[:, 1].max() < 20
    back = best.score.gather(1, best.item.argsort())
    bonus = back - standardise(bundle.model.score(torch.tensor([3, 0, 59])))
    torch.testing.assert_close(bonus[0], bonus[2], atol=1e-4, rtol=1e-4)


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    plain_bundle().recommend(USERS, k=3, progress=True)
    assert capsys.readouterr().err == ''
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
    plain_bundle().recommend(USERS, k=3, progress=True)
    assert '3/3' in capsys.readouterr().err
    plain_bundle().recommend(USERS, k=3)
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'users': 'user-001'}, r"a list of ids, got the single id 'user-001'"),
        ({'users': 5}, r'single id 5'),
        ({'k': 0}, r"'k' must be an integer of at least 1, got 0"),
        ({'users': ['user-01']}, r"no user 'user-01': did you mean 'user-0.1'"),
        ({'users': [float('nan')]}, r"no user 'nan'"),
        ({'users': {'user-001': 1}}, r'list of ids, got dict'),
        ({'among': ['film']}, r"'among' must hold ids of items"),
        ({'exclude': ['film']}, r"'exclude' must hold ids of items"),
        ({'seen': 'no'}, r"'seen' must be True or False"),
        ({'index': 'annoy'}, r"'index' must be one of 'exact', 'faiss'"),
        ({'batch_size': 0}, r"'batch_size'"),
        ({'dial': -1.0}, r"'dial'"),
        ({'intents': ['war']}, r"'intents'"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        plain_bundle().recommend(**options)
