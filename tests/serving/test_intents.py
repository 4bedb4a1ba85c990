from __future__ import annotations

import pytest
import torch

from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._intents import intents_of
from tests.serving.bundles import (
    bare_bundle,
    full_bundle,
    plain_bundle,
    small_data,
    small_model,
)


def test_the_intents_of_a_user():
    bundle = plain_bundle()
    found = bundle.intents('user-003')
    lifts = [each.lift for each in found]
    assert lifts == sorted(lifts, reverse=True) and lifts[0] > 1
    assert sum(each.share for each in found) == pytest.approx(1)
    assert len({each.name for each in found}) == len(found)
    mean = {each.name: each.share for each in bundle.intents()}
    for each in found:
        assert each.lift == pytest.approx(each.share / mean[each.name], rel=1e-4)
        assert all(title.startswith('The Story of Book ') for title in each.titles)


def test_all_intents_have_the_mean_share():
    bundle = plain_bundle()
    found = bundle.intents()
    shares = [each.share for each in found]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, rel=1e-4)
    assert {each.lift for each in found} == {1.0}
    user = {each.name: each.share for each in bundle.intents('user-003')}
    others = [
        next(each.share for each in bundle.intents(user) if each.name == found[0].name)
        for user in bundle.users
    ]
    assert sum(others) / len(others) == pytest.approx(shares[0], rel=1e-4)
    assert user.keys() == {each.name for each in found}


@pytest.mark.parametrize('make', [plain_bundle, full_bundle])
def test_words_and_shares_are_those_of_the_explainer(make):
    bundle = make()
    explain = IntentExplainer(bundle.model, bundle.data)
    prototypes = explain.prototypes('item')
    intents = intents_of(bundle)
    # Prototypes with the same words are one intent with the sum of their shares.
    for name in intents.names:
        same = [
            each.number
            for each in prototypes
            if set(each.words) == set(name.split(', '))
        ]
        share = explain.share('item')[:, same].sum(dim=1)
        assert torch.allclose(intents.item_share[:, intents.find(name)], share)
    nearest = bundle.item_intents('book 5')[0].titles[0]
    row = bundle.items.ids.index(nearest.replace('The Story of Book', 'book'))
    number = intents.find(bundle.item_intents('book 5')[0].name)
    assert row == int(intents.item_share[:, number].argmax())


def test_users_have_own_prototypes_if_both_sides_share_clusters():
    bundle = plain_bundle()  # Its prototypes represent clusters of texts.
    own = IntentExplainer(bundle.model, bundle.data).share('user')[3]
    intents = intents_of(bundle)
    assert intents.user_share(3).sum() == pytest.approx(1)
    assert intents.user_share(3).max() >= own.max()
    single = [each for each in bundle.intents('user-003') if each.share in own.tolist()]
    assert single
    # In IRLLRec, users are assigned to the item prototypes.
    bundle = full_bundle()
    prototypes = bundle.model.backbone.item_prototypes
    share = prototypes.assign(bundle.ranker.user_embedding[3]).max()
    assert intents_of(bundle).user_share(3).max() >= share


def test_without_prototypes_or_texts_there_are_none():
    bundle = bare_bundle()
    assert bundle.intents() == bundle.intents(3) == bundle.item_intents(3) == []
    data, _ = small_data()
    for name in ('title', 'text', 'profile_text', 'intent_text'):
        del data['item'][name]
    assert Bundle(small_model(data), data).intents() == []
    data['item'].title = ['1984'] * data['item'].num_nodes  # No words.
    assert Bundle(small_model(data), data).intents() == []


def test_unknown_ids():
    with pytest.raises(ValueError, match="'user' must hold ids of users"):
        plain_bundle().intents('nobody')
    with pytest.raises(ValueError, match="'item' must hold ids of items"):
        plain_bundle().item_intents('nothing')
