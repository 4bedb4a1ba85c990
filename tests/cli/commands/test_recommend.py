from __future__ import annotations

import json

import pytest

from pyg_irllrec.cli.commands.recommend import _parse_intents
from tests.cli.calls import call
from tests.serving.bundles import NUM_USERS, plain_bundle


def recommended(capsys, saved, *words):
    assert call('recommend', saved, *words, '--json') == 0
    return json.loads(capsys.readouterr().out)['recommendations']


def expected(best):
    return [
        {
            'user': user,
            'items': [
                {'rank': rank, **each._asdict()}
                for rank, each in enumerate(items, start=1)
            ],
        }
        for user, items in best
    ]


def test_users_as_json(capsys, saved):
    found = recommended(
        capsys, saved, '--user', 'user-003', '--user', 'user-001', '--k', 3
    )
    best = plain_bundle().recommend(['user-003', 'user-001'], 3)
    assert found == expected(best)


def test_a_repeated_user_is_ranked_once(capsys, saved):
    found = recommended(capsys, saved, '--user', 'user-003', '--user', 'user-003')
    assert [each['user'] for each in found] == ['user-003']


def test_users_as_a_table(capsys, saved):
    users = ['user-003', 'user-001']
    words = [word for user in users for word in ('--user', user)]
    assert call('recommend', saved, *words, '--k', 2) == 0
    shown = capsys.readouterr().out.splitlines()
    best = plain_bundle().recommend(users, 2)
    assert shown[0] == 'User user-003' and shown[5] == 'User user-001'
    assert shown[1].split() == ['rank', 'id', 'title', 'score']
    first = best['user-003'][0]
    assert shown[2].startswith(f'   1  {first.item}')
    assert first.title in shown[2] and f'{first.score:.4f}' in shown[2]


def test_candidates_and_exclusions(capsys, tmp_path, saved):
    (tmp_path / 'among').write_text('book 1\nbook 2\nbook 3\nbook 4\n')
    (tmp_path / 'exclude').write_text('book 2\n')
    options = ['--among', tmp_path / 'among', '--exclude', tmp_path / 'exclude']
    (found,) = recommended(capsys, saved, '--user', 'user-000', '--seen', *options)
    items = {each['item'] for each in found['items']}
    assert items == {'book 1', 'book 3', 'book 4'}


def test_words_steer_the_ranking(capsys, saved):
    words = plain_bundle().data['item'].intent_text[0].split()[0]
    user = ['--user', 'user-000']
    (plain,), (steered,), (muted,) = (
        recommended(capsys, saved, *user, *options)
        for options in (
            [],
            ['--intent', words, '--dial', '2'],
            ['--intent', f'{words}=-0.5'],
        )
    )
    assert len({json.dumps(each) for each in (plain, steered, muted)}) == 3
    best = plain_bundle().recommend(['user-000'], intents={words: 1.0}, dial=2.0)
    assert [steered] == expected(best)


def test_a_new_user(capsys, saved):
    items = ['--item', 'book 1', '--item', 'book 5']
    text = plain_bundle().data['item'].text[1]
    (found,) = recommended(capsys, saved, *items, '--text', text, '--k', 4)
    (best,) = plain_bundle().recommend_new(['book 1', 'book 5'], 4, text=text)
    assert found['user'] is None
    assert [each['item'] for each in found['items']] == [each.item for each in best[1]]


def test_all_users_to_a_file(capsys, tmp_path, saved):
    out = tmp_path / 'best.jsonl'
    assert call('recommend', saved, '--out', out, '--k', 2, '--json') == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {'path': str(out), 'users': NUM_USERS, 'k': 2}
    assert shown.err == ''  # No progress bar without a terminal.
    users = {json.loads(line)['user'] for line in out.read_text().splitlines()}
    assert len(users) == NUM_USERS


def test_some_users_to_a_file(tmp_path, saved):
    out = tmp_path / 'best.csv'
    user = ['--user', 'user-003']
    assert call('recommend', saved, *user, '--out', out, '--k', 2) == 0
    assert out.read_text().count('user-003') == 2


@pytest.mark.parametrize('given', ['rain', 'rain=1', ' rain =1.0'])
def test_the_default_weight_is_1(given):
    assert _parse_intents([given, 'a=b=-0.5']) == {'rain': 1.0, 'a=b': -0.5}
