from __future__ import annotations

import json

from tests.cli.calls import call
from tests.serving.bundles import plain_bundle


def test_reasons_as_json_and_as_text(capsys, saved):
    item = plain_bundle().recommend(['user-003'], 1)['user-003'][0].item
    words = ['explain', saved, '--user', 'user-003', '--item', item]
    why = plain_bundle().explain('user-003', item)
    assert call(*words, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['text'] == why.text and found['rank'] == 1
    assert [each['title'] for each in found['similar']] == [
        each.title for each in why.similar
    ]
    assert [each['name'] for each in found['intents']] == [
        each.name for each in why.intents
    ]
    assert call(*words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(why.text)
    assert all(each.title in shown for each in why.similar)
    assert all(each.name in shown for each in why.intents)


def test_intents_of_a_user_and_of_all(capsys, saved):
    for words, user in (([], None), (['--user', 'user-003'], 'user-003')):
        assert call('explain', saved, *words, '--json') == 0
        found = json.loads(capsys.readouterr().out)
        intents = plain_bundle().intents(user)
        assert found == {'user': user, 'intents': [each._asdict() for each in intents]}
        assert intents
    assert call('explain', saved) == 0
    shown = capsys.readouterr().out
    intents = plain_bundle().intents()
    assert intents[9].name in shown and intents[10].name not in shown
    assert f'{len(intents) - 10} more intents' in shown
