from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._steer import item_bonus, item_effects, match_of
from tests.serving.bundles import bare_bundle, plain_bundle, small_data, small_model


def has_main_intent(intent):
    """A mask of the items whose main true intent it is."""
    data, _ = small_data()
    number = data.intent_names.index(intent)
    return data['item'].intent_share.argmax(dim=1) == number


def test_words_raise_the_items_with_this_intent():
    for intent in ('chess', 'hiking'):
        bonus = item_bonus(plain_bundle(), {intent: 1.0})
        wanted = has_main_intent(intent)
        assert bonus.shape == wanted.shape
        assert bonus[wanted].mean() > 0.7 > -0.2 > bonus[~wanted].mean()
        assert bonus.mean().abs() < 1e-5
        assert bonus.square().mean() == pytest.approx(1)


def test_weights_and_the_dial_scale_and_intents_add_up():
    bundle = plain_bundle()
    name = bundle.intents()[0].name
    chess, named = (item_bonus(bundle, {word: 1}) for word in ('chess', name))
    both = item_bonus(bundle, {'chess': -0.5, name: 2.0}, dial=3.0)
    assert torch.allclose(both, 3 * (2 * named - 0.5 * chess), atol=1e-5)


def test_the_parts_of_intents():
    bundle = plain_bundle()
    effects = item_effects(bundle, {'chess': -0.5, 'hiking': 2.0, 'tent': 0}, dial=3.0)
    assert list(effects) == ['chess', 'hiking']
    assert torch.allclose(effects['hiking'], 6 * item_bonus(bundle, {'hiking': 1}))
    assert item_effects(bundle, {'chess': 1.0}, 0) == {}


def test_a_name_is_its_prototype():
    bundle = plain_bundle()
    lead = bundle.item_intents('book 7')[0]
    bonus = item_bonus(bundle, {lead.name: 1.0})
    share = torch.tensor(
        [
            next(each.share for each in bundle.item_intents(item) if each[0] == lead[0])
            for item in bundle.items
        ]
    )
    assert torch.allclose(bonus, standardise(share.unsqueeze(0))[0], atol=1e-5)
    # In any order, case and spacing.
    other = ' ,  '.join(reversed(lead.name.upper().split(', ')))
    assert item_bonus(bundle, {other: 1.0}).equal(bonus)


@pytest.mark.parametrize(
    ('intents', 'dial'), [(None, 1.0), ({}, 1.0), ({'chess': 1.0}, 0), ({'?': 0}, 1)]
)
def test_no_bonus(intents, dial):
    assert item_bonus(plain_bundle(), intents, dial) is None


def test_words_are_encoded_once():
    calls = []
    data, encoder = small_data()

    def encode(texts):
        calls.extend(texts)
        return encoder(texts)

    bundle = Bundle(small_model(data), data, encoder=encode)
    first = item_bonus(bundle, {'chess': 1.0})
    assert item_bonus(bundle, {'chess': 1.0}).equal(first) and calls == ['chess']
    for number in range(70):
        item_bonus(bundle, {f'chess {number}': 1.0})
    assert match_of(bundle).match.cache_info().currsize == 64


@pytest.mark.parametrize(
    ('intents', 'dial', 'message'),
    [
        (['chess'], 1.0, "'intents' must map words to weights.*got list"),
        ({1: 1.0}, 1.0, "'intents' must map words to weights, got 1 as words"),
        ({' ': 1.0}, 1.0, "'intents' must map words to weights, got ' ' as words"),
        ({'chess': float('nan')}, 1.0, "weights from -1000 to 1000, got nan for 'che"),
        ({'chess': -1001}, 1.0, 'weights from -1000 to 1000, got -1001'),
        ({'chess': True}, 1.0, 'weights from -1000 to 1000, got True'),
        ({'chess': '1'}, 1.0, "weights from -1000 to 1000, got '1'"),
        ({'chess': 1.0}, -0.1, "'dial' must be from 0 to 1000, got -0.1"),
        ({}, float('nan'), "'dial' must be from 0 to 1000, got nan"),
        ({'xyzzy': 1.0}, 1.0, "'intents' must have words that occur .* got 'xyzzy'"),
    ],
)
def test_bad_arguments(intents, dial, message):
    with pytest.raises(ValueError, match=message):
        item_bonus(plain_bundle(), intents, dial)


def test_words_without_an_encoder():
    with pytest.raises(ValueError, match=r"must be names from .*got 'chess'\. Other"):
        item_bonus(bare_bundle(), {'chess': 1.0})
    data, _ = small_data()
    alone = Bundle(plain_bundle().model, data)
    name = alone.intents()[0].name
    assert item_bonus(alone, {name: 1.0}).equal(item_bonus(plain_bundle(), {name: 1.0}))
    with pytest.raises(ValueError, match=r"must be names from .*got 'chess'\. Other"):
        item_bonus(alone, {'chess': 1.0})
    other = Bundle(plain_bundle().model, data, encoder=lambda texts: [[1.0, 2.0]])
    with pytest.raises(ValueError, match='of width 16, got vectors of width 2'):
        item_bonus(other, {'chess': 1.0})


def test_intents_of_another_encoder_match_no_words():
    data, encoder = small_data()
    for side in ('user', 'item'):
        data[side].intent = data[side].intent[:, :7]
    found = item_bonus(Bundle(small_model(data), data, encoder=encoder), {'chess': 1.0})
    assert has_main_intent('chess')[found.topk(3).indices].all()


def test_recommendations_are_steered():
    bundle = plain_bundle()
    plain = bundle.recommend(['user-004'], 5)
    still = bundle.recommend(['user-004'], 5, intents={'chess': 1.0}, dial=0)
    assert still.item.equal(plain.item) and still.score.equal(plain.score)
    wanted = has_main_intent('chess')
    raised = bundle.recommend(['user-004'], 5, intents={'chess': 3.0})
    muted = bundle.recommend(['user-004'], 5, intents={'chess': -3.0})
    assert wanted[raised.item].sum() > wanted[plain.item].sum()
    assert wanted[muted.item].sum() == 0
    scores = standardise(bundle.ranker.score(torch.tensor([4])))[0]
    scores += item_bonus(bundle, {'chess': 3.0})
    assert torch.allclose(raised.score[0], scores[raised.item[0]], atol=1e-5)


def test_words_match_by_texts_and_by_embeddings_alike():
    bundle = plain_bundle()
    vector = torch.from_numpy(bundle.encoder(['chess']))[0]
    item = bundle.data['item']
    text = (item.profile @ vector + item.intent @ vector) / 2  # Rows of unit length.
    nearest = text.topk(4)  # One in ten items.
    centred = bundle.ranker.item_embedding
    centred = normalize(centred - centred.mean(dim=0))
    wanted = (nearest.values / 0.1).softmax(dim=0) @ centred[nearest.indices]
    space = cosine_similarity(centred, wanted.unsqueeze(0))
    both = standardise(torch.stack([text, space])).sum(dim=0, keepdim=True)
    expected = standardise(both)[0]
    assert torch.allclose(item_bonus(bundle, {'chess': 1.0}), expected, atol=1e-4)
