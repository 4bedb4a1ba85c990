from __future__ import annotations

import json
import sys

import pytest

from pyg_irllrec.text.intents.intent_record import (
    Intent,
    IntentRecord,
    read_answer,
    read_profile,
)

pytest.importorskip('pydantic')


def given(**changes):
    return {'name': 'calm', 'reason': 'likes quiet', 'evidence': [2, 1]} | changes


def read(*intents, texts=3, most=2, **more):
    return read_answer(json.dumps({'intents': list(intents)} | more), texts, most)


def test_intents():
    assert read(given(name=' a\nb '), given(evidence=[3, 3])) == (
        Intent('a b', 'likes quiet', (1, 2)),
        Intent('calm', 'likes quiet', (3,)),
    )
    assert read(given(), steps=['likes', '']) == read(given())
    assert read(given(name='a', reason='b'))[0][:2] == ('a', 'b')


@pytest.mark.parametrize(
    'around', ['{}', '```json\n{}\n```', 'Sure:\n{}', '<think>hm</think> {}\nDone.']
)
def test_words_around_the_object_are_ignored(around):
    answer = around.replace('{}', json.dumps({'intents': [given()]}))
    assert read_answer(answer, 3, 2)[0].name == 'calm'


@pytest.mark.parametrize(
    ('intents', 'message'),
    [
        ([], 'intents: List should have at least 1 item'),
        ([given(), given(name='b'), given(name='c')], 'must be at most 2, got 3'),
        ([given(), given(name='CALM')], "distinct names, got 'calm' twice"),
        ([given(name='\u00e9'), given(name='e\u0301')], 'distinct names'),
        ([given(evidence=[])], r'intents\.0\.evidence'),
        ([given(evidence=[0])], r'intents\.0\.evidence\.0'),
        ([given(evidence=[4])], 'from 1 to 3, got 4'),
        ([given(evidence=['1'])], r'intents\.0\.evidence\.0'),
        ([given(evidence=[1.5])], r'intents\.0\.evidence\.0'),
        ([given(evidence=[True])], r'intents\.0\.evidence\.0'),
        ([given(name='')], r'intents\.0\.name'),
        ([given(name='\u200b')], 'must have a name and a reason'),
        ([given(name='x' * 81)], r'intents\.0\.name'),
        ([given(reason='x' * 401)], r'intents\.0\.reason'),
        ([given(reason=None)], r'intents\.0\.reason'),
        ([given(extra='PWNED')], r'intents\.0\.extra'),
        (['calm'], r'intents\.0'),
        ('calm', 'intents'),
    ],
)
def test_invalid_intents_are_refused(intents, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_answer(json.dumps({'intents': intents}), 3, 2)
    assert len(str(caught.value)) <= 500 and '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'answer',
    [
        '',
        'no',
        '[]',
        '{"intents": ',
        '{}',
        '} {',
        '{"a": {}}{',
        '{' * 9999 + '}' * 9999,
    ],
)
def test_invalid_json_is_refused(answer):
    with pytest.raises(ValueError, match=r'JSON|intents|steps'):
        read_answer(answer, 3, 2)


OK = json.dumps({'intents': [given(name='<think> {')]})
TURNED = json.dumps({'intents': [dict(reversed(given(name='<think> {').items()))]})
DRAFT = json.dumps({'intents': [given(name='WRONG DRAFT')]})
FORM = json.dumps({'intents': [given(name='a few words', reason='...')]})


@pytest.mark.parametrize(
    'answer',
    [
        f'<think>The form is {{"intents": [...]}}.</think>\n{OK}',
        f'```json\n{OK}\n```\nI joined {{1, 2}}.',
        f'{OK}\n{OK}',
        f'{OK}\n{OK.replace(": ", ":")}',
        f'{OK}\n{TURNED}',
        f'I have read {{1}} and {{"a": 2}}:\n{OK}',
        f'{{{OK}}}',  # Escaped as in Python format strings.
        f'{{"intents": [{{"name": "cut\n{OK}',
        f'<think>{DRAFT}</think>{OK}',
        f'[{OK}]',
        f'{{"result": {OK}}}',
        f'{{"name": "respond", "arguments": {OK}}}',
        json.dumps(OK),
        OK.replace('{', '{\u00a0'),
        OK[:-1] + ', "steps": null}',
        f'{{"intents": [{{"name": "...", "reason": "...", "evidence": [1]}}]}}\n{OK}',
        f'Draft: {DRAFT}\nFinal answer: {OK}',
        f'The reasons lead to this answer: {OK}',
    ],
)
def test_a_valid_answer_is_not_refused(answer):
    (intent,) = read_answer(answer, 3, 2)
    assert intent.name == '<think> {'


@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        (f'<think>Draft: {DRAFT} but wait, the', 'thoughts do not end: raise max_tok'),
        (
            f'{DRAFT}</think>\n',
            "got one within thoughts or tags and nothing after them: raise 'max_",
        ),
        ('hm</think>', 'got none within thoughts or tags and nothing after them'),
        (f'{DRAFT}</think> Done.', 'got none outside thoughts and tags$'),
        ("I'm sorry.", 'must hold a JSON object, got none$'),
        (' ', 'must hold a JSON object, got no text$'),
        (f'{DRAFT} or rather {OK}', 'several that differ'),
        (f'{DRAFT} or rather {{"intents": []}}', 'several that differ'),
        (f'{{"draft": {DRAFT}, "then', 'must be whole'),
        (f'{{"draft": {DRAFT}}}', 'intents: Field required'),
        (f'{{"draft": {DRAFT}, "a": 1}}', 'intents: Field required'),
        (f'Draft: {DRAFT}', 'got none outside thoughts and tags'),
        (
            f'Plan: {DRAFT}\nFinal answer: {FORM[:60]}',
            'must be whole, got one that is cut',
        ),
        (f'{DRAFT}\nFinal answer: {{', 'must be whole'),
        (f'{DRAFT}\nFinal: {FORM[:-1]},}}', 'must be whole'),
        (f'{DRAFT}\nFinal: {FORM.replace(chr(34), chr(39))}', 'must be whole'),
        (f'{{steps: 1, "old": {DRAFT}, "intents": []}}', 'must be whole'),
        (FORM, r'intents\.0 must be filled in'),
        (f'{FORM[:-2]}, {DRAFT[13:]}', r'intents\.0 must be filled in'),
        (f'{FORM[:-2]}, {DRAFT[13:]}\n{OK}', 'several that differ'),
        (DRAFT[:-1] + ', "intents": []}', r'intents \(given twice\)'),
        (DRAFT.replace('[2, 1]', '[1e400]'), r'intents\.0\.evidence\.0'),
        (DRAFT.replace('[2, 1]', f'[{"9" * 5000}]'), r'intents\.0\.evidence\.0'),
        (DRAFT.replace('[2, 1]', '[NaN]'), r'intents\.0\.evidence\.0'),
        (DRAFT.replace('WRONG', r'\ud800'), r'intents\.0\.name'),
        ('{"intents": ' + '[' * 10**5, 'must be whole'),
        ('\ud800\0', 'must hold a JSON object, got none'),
    ],
)
def test_an_ambiguous_answer_is_refused(answer, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_answer(answer, 3, 2)
    str(caught.value).encode()


def test_a_record_survives_a_round_trip():
    record = IntentRecord(
        'user', 'ü', 'ok', read(given()), '', (('item', 3), ('item', 'b')), 'ab12'
    )
    assert IntentRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    failed = IntentRecord('item', 3, 'failed', (), 'why')
    assert IntentRecord.from_dict(failed.to_dict()) == failed


def test_a_record_only_cites_its_texts():
    record = IntentRecord('user', 1, 'ok', read(given()), '', (('item', 3),) * 2)
    value = json.loads(json.dumps(record.to_dict()))
    value['intents'][0]['evidence'] = [1, 3]
    with pytest.raises(ValueError, match='from 1 to 2, one per source, got 3'):
        IntentRecord.from_dict(value)


def test_without_pydantic(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pydantic', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[llm\]'"):
        read_answer('{}', 1, 1)


@pytest.mark.parametrize(
    'answer',
    [
        '{"reasoning": "x", "profile": "Likes tea."}',
        'Here it is: {"profile": "Likes\\n  tea."} Enjoy!',
        '<think>{"profile": "draft"}</think>{"profile": "Likes tea."}',
        '{"profile": "the profile"} {"profile": "Likes tea."}',
        '{"result": {"profile": "Likes tea."}}',
    ],
)
def test_profiles_with_other_text_around_them(answer):
    assert read_profile(answer) == 'Likes tea.'


@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        ('{"profile": ""}', 'profile: String should have at least 1'),
        (
            '{"profile": "the profile"}',
            'must be filled in, got the words of the template',
        ),
        ('{"profile": 5}', 'profile: Input should be a valid string'),
        (json.dumps({'profile': 'x' * 1001}), 'profile: String should have at most 10'),
        (
            '{"profile": "a"} {"profile": "b"}',
            "with 'profile', got several that differ",
        ),
        ('{"intents": []}', 'profile: Field required'),
        ('{"profile": "a', 'must be whole, got one that is cut off'),
        ('no', 'must hold a JSON object, got none'),
    ],
)
def test_answers_without_a_profile(answer, message):
    with pytest.raises(ValueError, match=message):
        read_profile(answer)


def test_records_of_profiles():
    record = IntentRecord('user', 1, 'ok', (), '', (('item', 3),), 'ab', 'Likes tea.')
    assert IntentRecord.from_dict(record.to_dict()) == record
    assert 'profile' not in IntentRecord('user', 1, 'failed', (), 'why').to_dict()
    for bad, message in (
        ({'profile': ''}, "or 'profile' .* got neither"),
        ({'status': 'failed'}, "'profile' must be empty unless 'status' is 'ok'"),
        ({'profile': 3}, "'profile' must be a string, got 3"),
        (
            {'intents': [{'name': 'a', 'reason': 'b', 'evidence': [1]}]},
            "or 'profile' .* got both",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            IntentRecord.from_dict(record.to_dict() | bad)
