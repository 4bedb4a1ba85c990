from __future__ import annotations

import pandas as pd
import pytest
import torch

from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.training import InteractionDataModule, fit
from pyg_irllrec.typing import RATES
from tests.serving.bundles import (
    NUM_ITEMS,
    NUM_USERS,
    bare_bundle,
    full_bundle,
    plain_bundle,
    small_data,
    small_model,
)

USERS = torch.arange(NUM_USERS)
NEW = [('user-003', 'book 11'), ('zoe', 'book 7'), ('zoe', 'book 9')]


@pytest.fixture(scope='module')
def updated():
    words = plain_bundle().data['item'].profile_text[4]
    return plain_bundle().update(NEW, items={'new': words}, users={'zoe': words})


def test_without_changes_it_is_the_same_bundle():
    bundle = plain_bundle()
    for nothing in ([], pd.DataFrame({'user': [], 'item': []}), torch.empty(2, 0)):
        assert bundle.update(nothing) is bundle
    user, item = bundle.data[RATES].edge_index[:, 0].tolist()
    assert bundle.update([(bundle.users[user], bundle.items[item])]) is bundle


def test_new_ids_are_appended(updated):
    bundle = plain_bundle()
    assert list(updated.users) == [*bundle.users, 'zoe']
    assert list(updated.items) == [*bundle.items, 'new']
    edges = updated.data[RATES].edge_index
    old = bundle.data[RATES].edge_index
    assert torch.equal(edges[:, : old.size(1)], old)
    assert edges[:, old.size(1) :].tolist() == [[3, NUM_USERS, NUM_USERS], [11, 7, 9]]
    assert updated.model.num_items == NUM_ITEMS + 1


def test_the_old_bundle_does_not_change(updated):
    bundle = plain_bundle()
    assert len(bundle.users) == NUM_USERS and bundle.data['item'].num_nodes == NUM_ITEMS
    assert bundle.data[RATES].edge_index.size(1) < updated.data[RATES].edge_index.size(
        1
    )
    fresh = Bundle(bundle.model, bundle.data)
    assert torch.equal(fresh.ranker.score(USERS), bundle.ranker.score(USERS))


def test_new_interactions_are_seen(updated):
    assert updated.seen.degree[NUM_USERS] == 2
    best = updated.recommend(['zoe'], NUM_ITEMS + 1)['zoe']
    assert not {'book 7', 'book 9'} & {each.item for each in best}


def test_an_item_with_only_a_text_is_ranked_by_it(updated):
    """It has the text of book 4, and a similar embedding."""
    assert updated.ranker.by_text.tolist() == [NUM_ITEMS]
    item = updated.ranker.item_embedding
    cosine = torch.cosine_similarity(item[-1:], item[:-1])
    assert cosine.argsort(descending=True).tolist().index(4) < 5
    profile = updated.data['item'].profile
    torch.testing.assert_close(profile[-1], profile[4])
    assert updated.items.title(NUM_ITEMS).startswith('Offers the tactics workbook')


def test_trained_weights_do_not_change(updated):
    old, new = plain_bundle().model.state_dict(), updated.model.state_dict()
    for name, value in new.items():
        if name.endswith('user_embedding.weight'):
            assert torch.equal(value[:NUM_USERS], old[name])
            assert value[NUM_USERS].any()
        elif value.shape == old[name].shape:
            assert torch.equal(value, old[name]), name


def test_known_pairs_are_not_added_again():
    """Ids are not in the order of rows: 'book 10' sorts before 'book 6'."""
    bundle = plain_bundle()
    edges = bundle.data[RATES].edge_index.t().tolist()
    user, known = next(each for each in edges if each[1] >= 10)
    new = next(item for item in (9, 8, 7, 6) if [user, item] not in edges)
    pairs = [(bundle.users[user], bundle.items[item]) for item in (known, new)]
    updated = bundle.update(pairs).data[RATES].edge_index.t().tolist()
    assert updated == [*edges, [user, new]]


def test_low_ratings_only_count_as_seen(tmp_path):
    bundle = plain_bundle()
    bundle = Bundle(bundle.model, bundle.data, min_rating=4)
    rows = [('user-003', 'book 11', 1), ('user-003', 'book 12', 4)]
    rows += [('sad', 'book 1', 2), ('zoe', 'bad', 3), ('zoe', 'book 7', 5)]
    ratings = pd.DataFrame(rows, columns=['user', 'item', 'rating'])
    bundle.save(tmp_path)
    fresh = load(tmp_path).update(ratings)
    count = bundle.data[RATES].edge_index.size(1)
    added = fresh.data[RATES].edge_index[:, count:].t().tolist()
    assert added == [[3, 12], [NUM_USERS, 7]]
    best = {each.item for each in fresh.recommend(['user-003'], 99)['user-003']}
    assert not {'book 11', 'book 12'} & best and 'book 13' in best
    # A dislike adds no user or item, and may be the only news.
    assert 'sad' not in fresh.users and 'bad' not in fresh.items
    assert fresh.min_rating == 4
    disliked = bundle.update(ratings[:1])
    assert disliked.model is bundle.model
    assert disliked.seen.item.numel() == bundle.seen.item.numel() + 1
    assert disliked.update(ratings[:1]) is disliked
    with pytest.raises(ValueError, match=r"must have a column 'rating'.*at least 4"):
        bundle.update(ratings[['user', 'item']])
    assert len(bundle.update([('zoe', 'book 7')]).users) == NUM_USERS + 1


def test_new_interactions_are_no_longer_held_out():
    bundle = plain_bundle()
    user, item = bundle.data[RATES].test_edge_label_index[:, 0].tolist()
    held_out = bundle.update([(bundle.users[user], bundle.items[item])]).data[RATES]
    assert [user, item] not in held_out.test_edge_label_index.t().tolist()
    assert held_out.test_edge_label_index.size(1) == (
        bundle.data[RATES].test_edge_label_index.size(1) - 1
    )
    users, items = bundle.data[RATES].test_edge_label_index
    pairs = [(bundle.users[u], bundle.items[i]) for u, i in zip(users, items)]
    assert 'test_edge_label_index' not in bundle.update(pairs).data[RATES]
    assert 'val_edge_label_index' not in bundle.update(pairs).data[RATES]


@pytest.mark.parametrize(
    'give', ['frame', 'csv', 'tensor'], ids=['frame', 'csv', 'tensor']
)
def test_tables_files_and_tensors(give, tmp_path):
    bundle = bare_bundle()
    frame = pd.DataFrame({'item': [39, 50], 'user': [3, 3], 'stars': [1, 5]})
    given = frame
    if give == 'csv':
        given = tmp_path / 'new.csv'
        frame.to_csv(given, index=False)
    elif give == 'tensor':
        given = torch.tensor([[3, 3], [39, 50]])
    new = bundle.update(given)
    assert list(new.items) == [*range(NUM_ITEMS), 50]
    assert new.data[RATES].edge_index[:, -2:].tolist() == [[3, 3], [39, 40]]


def test_ids_have_one_type():
    bundle = bare_bundle()
    assert list(bundle.update([('7', 'x')]).items)[-2:] == ['39', 'x']
    for text in ('0041', '--5', '9' * 5000):
        assert list(bundle.update([(7.0, text)]).items)[-2:] == ['39', text]


def test_an_item_without_a_text_is_an_item():
    bundle = plain_bundle().update(items={'new': None, 'other': 'baking'})
    assert list(bundle.items)[-2:] == ['new', 'other']
    assert bundle.ranker.by_text.tolist() == [NUM_ITEMS + 1]


def test_a_text_of_unknown_words_is_counted():
    with pytest.warns(UserWarning, match='1 of 2 texts of items have no words'):
        bundle = plain_bundle().update(items={'new': 'baking', 'other': 'xyzzy'})
    assert bundle.ranker.by_text.tolist() == [NUM_ITEMS]


def test_titles_and_texts_of_known_items_are_replaced():
    table = {
        'id': ['book 2', 'other'],
        'title': ['Two', None],
        'text': [None, 'baking'],
    }
    bundle = plain_bundle()
    new = bundle.update([], items=table)
    assert new.items.title(2) == 'Two'
    assert new.items.title(3) == bundle.items.title(3)
    assert new.data['item'].text == [*bundle.data['item'].text, 'baking']
    assert torch.equal(new.data['item'].profile[2], bundle.data['item'].profile[2])


def test_without_an_encoder_texts_are_only_kept():
    data, _ = small_data()
    bundle = Bundle(small_model(data), data)
    new = bundle.update([], items={'new': 'some words'})
    assert new.data['item'].text[-1] == 'some words'
    assert not new.data['item'].profile[-1].any()
    assert new.ranker.by_text.numel() == 0


def test_an_updated_model_can_be_trained(tmp_path):
    updated = plain_bundle().update(NEW, items={'new': 'baking'})
    weight = plain_bundle().model.feature_map.weight.clone()
    interactions = InteractionDataModule(updated.data, batch_size=64)
    result = fit(
        updated.model, interactions, tmp_path, epochs=2, check_every=1, progress=False
    )
    assert result.test['recall@20'] > 0
    assert not torch.equal(updated.model.feature_map.weight, weight)
    assert torch.equal(plain_bundle().model.feature_map.weight, weight)


def test_saved_and_loaded(updated, tmp_path):
    updated.save(tmp_path / 'bundle')
    users = torch.arange(NUM_USERS + 1)
    found = load(tmp_path / 'bundle').ranker.score(users)
    assert torch.equal(found, updated.ranker.score(users))


@pytest.mark.parametrize('make', [full_bundle, bare_bundle])
def test_two_updates_equal_one(make):
    bundle = make()
    users, items = list(bundle.users)[:2], list(bundle.items)[:3]
    one, two = [(users[0], items[2])], [(users[1], 99), (98, items[1])]
    once = bundle.update([*one, *two])
    twice = bundle.update(one).update(two)
    torch.testing.assert_close(
        once.ranker.score(USERS), twice.ranker.score(USERS), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ('interactions', 'nodes', 'message'),
    [
        (['ab'], None, "'interactions' must be pairs .* got 'ab' at index 0"),
        ([('a', 'b', 'c')], None, 'must be pairs'),
        (7, None, "'interactions' must be a table"),
        (torch.zeros(3, 2), None, r'must have shape \(2, E\)'),
        (pd.DataFrame({'user': [1]}), None, "one column 'item', got no"),
        ([(None, 'b')], None, 'lacks an id'),
        ([], {'text': ['words']}, "one column 'id', got no"),
        ([], 7, "'items' must be a table"),
        ([], {'id': ['a', 'a'], 'text': ['b', 'c']}, 'one text per id'),
        ([], {'a': 'words', 'b': 3}, "'items' must map ids to texts, got 3 for 'b'"),
    ],
)
def test_invalid_tables(interactions, nodes, message):
    with pytest.raises(ValueError, match=message):
        bare_bundle().update(interactions, items=nodes)


def test_an_encoder_of_another_width_is_named():
    bundle = plain_bundle()
    other = Bundle(
        bundle.model, bundle.data, encoder=lambda texts: [[1.0]] * len(texts)
    )
    with pytest.raises(ValueError, match='of width 16, got vectors of width 1'):
        other.update([], items={'new': 'words'})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.csv'):
        bare_bundle().update(tmp_path / 'gone.csv')
