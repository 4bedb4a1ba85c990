from __future__ import annotations

import json

import pytest

from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.extractive_model import ExtractiveModel
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import load_intents
from pyg_irllrec.text.intents.prompt import Prompt

pytest.importorskip('pydantic')

CORPUS = [
    Evidence('user', 1, ('Alien | rating: 5', 'Aliens, the horror', 'Comedy horror')),
    Evidence('user', 2, ('A romance', 'Another romance')),
    Evidence('item', 1, ('12 | 1999',)),
    Evidence('item', 2, ()),
]


def ask(model, texts):
    (answer,) = model([Prompt.packaged('user').messages(texts, 5)])
    return json.loads(answer)['intents']


def test_salient_terms():
    intents = ask(ExtractiveModel(CORPUS, 2), CORPUS[0].texts)
    assert [intent['name'] for intent in intents] == ['horror', 'alien']
    assert intents[0] == {
        'name': 'horror',
        'reason': 'beside aliens, comedy',
        'evidence': [2, 3],
    }
    assert intents[1]['reason'] == 'alone'


def test_profiles_are_salient_terms():
    model = ExtractiveModel(CORPUS, 2, what='profiles')
    assert model.describe()['what'] == 'profiles'
    messages = [Prompt.packaged('user').messages(CORPUS[k].texts, 5) for k in (0, 2)]
    first, second = map(json.loads, model(messages))
    assert first == {'profile': 'horror, alien, aliens, comedy'}
    assert second == {'profile': '12 | 1999'}


def test_an_intent_is_shared():
    corpus = [Evidence('user', k, ('Mary at war', 'Comedy at sea')) for k in range(9)]
    titles = ('Mary at war', 'Comedy at war', 'Comedy at sea')
    corpus += [Evidence('item', k, (title,)) for k, title in enumerate(titles)]
    model = ExtractiveModel(corpus)
    # Every user has Mary and the sea, each in one item.
    names = [intent['name'] for intent in ask(model, ['Mary at war', 'Comedy at sea'])]
    assert sorted(names) == ['comedy', 'war']
    assert ask(model, ['Mary at war'])[0]['reason'] == 'alone'
    # They remain if a node has no other terms.
    assert [intent['name'] for intent in ask(model, ['Mary, the sea'])] == [
        'mary',
        'sea',
    ]
    strict = ExtractiveModel(corpus, min_share=0.9)
    assert [intent['name'] for intent in ask(strict, ['Mary at war'])] == [
        'mary',
        'war',
    ]


def test_a_side_without_texts_does_not_count():
    corpus = [Evidence('user', k, (f'Mary{"abc"[k]} at war',)) for k in range(3)]
    model = ExtractiveModel([*corpus, Evidence('item', 0, ('12',))])
    assert [intent['name'] for intent in ask(model, corpus[0].texts)] == ['war']


def test_every_node_with_a_text_ends_with_valid_intents(tmp_path):
    out = tmp_path / 'intents.jsonl'
    extract = IntentExtractor(ExtractiveModel(CORPUS), progress=False)
    counts = extract(CORPUS, out)['counts']
    assert (counts['ok'], counts['failed'], counts['no evidence']) == (3, 0, 1)
    assert load_intents(out).records[2].intents[0].name == '12 | 1999'
    content = out.read_bytes()
    extract(CORPUS, tmp_path / 'again.jsonl')
    assert (tmp_path / 'again.jsonl').read_bytes() == content


def test_the_description_names_no_language_model():
    described = ExtractiveModel(CORPUS).describe()
    assert described['language_model'] is False
    assert 'not a language model' in described['note']
    assert (
        described['corpus_sha256']
        != ExtractiveModel(CORPUS[:1]).describe()['corpus_sha256']
    )
    assert described == ExtractiveModel(CORPUS).describe()


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match="'num_intents' must be an integer of at least 1"
    ):
        ExtractiveModel([], 0)
    with pytest.raises(ValueError, match="'min_share' must be at least 0"):
        ExtractiveModel([], min_share=1)
