from __future__ import annotations

import json

from tests.cli.calls import call
from tests.serving.bundles import plain_bundle


def test_items_similar_to_an_item(capsys, saved):
    assert call('similar', saved, '--item', 'book 3', '--k', 4, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    like = plain_bundle().similar_items('book 3', 4)
    assert [each['item'] for each in found['similar']] == [each.item for each in like]
    assert found['item'] == 'book 3' and found['user'] is None


def test_users_similar_to_a_user(capsys, saved):
    assert call('similar', saved, '--user', 'user-003', '--k', 4) == 0
    lines = capsys.readouterr().out.splitlines()
    like = plain_bundle().similar_users('user-003', 4)
    assert [line.split()[1] for line in lines[1:]] == [each.user for each in like]
