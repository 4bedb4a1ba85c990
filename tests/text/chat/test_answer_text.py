from __future__ import annotations

import json
import time

import pytest

from pyg_irllrec.text.chat._answer_text import (
    find_objects,
    is_whole_object,
    strip_thoughts,
)

OK = json.dumps({'a': 'b <think> { " </think>'})
DRAFT = json.dumps({'a': 'draft'})


@pytest.mark.parametrize(
    'answer',
    [
        OK,
        f'<think>{DRAFT}</think>{OK}',
        f'<THINK>{DRAFT}</Think>\n{OK}',
        f'<thinking effort="high">{DRAFT}</thinking>{OK}',
        f'<thought>{DRAFT}</thought>{OK}',
        f'<reasoning>{DRAFT}</reasoning>{OK}',
        f'<seed:think>{DRAFT}</seed:think>{OK}',
        f'<think/>{OK}',
        f'<think>a<think>{DRAFT}</think>{DRAFT}</think>{OK}',
        f'{DRAFT}</think>{OK}',
        f'{DRAFT}</think>{DRAFT}</think>{OK}',
        f'</think>{OK}',
        f'<think>{{"a": "b</think>{OK}',
        f'<think>{{"a": "</think>"}} {DRAFT}</think>{OK}',
        f'{OK}<think>{DRAFT}</think>',
        f'[THINK]{DRAFT}[/THINK]{OK}',
        f'\u25c1think\u25b7{DRAFT}\u25c1/think\u25b7{OK}',
        f'<|begin_of_thought|>{DRAFT}<|end_of_thought|>{OK}',
        f'<|START_THINKING|>{DRAFT}<|END_THINKING|>{OK}',
        f'<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant'
        f'<|channel|>final<|message|>{OK}<|return|>',
        f'<|channel|>analysis{DRAFT}<|channel|>final<|message|>{OK}',
        f'<|channel|>commentary to=x<|message|>{DRAFT}<|channel|>final<|message|>{OK}',
        f'<|channel>thought\n{DRAFT}<channel|>{OK}',
        f'analysisWe draft {DRAFT}assistantfinal{OK}',
        f'Here is my thought process: {DRAFT} Here is my response: {OK}',
        f'Here are my reasoning steps:\n{DRAFT}\n[BEGIN FINAL RESPONSE]\n{OK}',
    ],
)
def test_what_was_answered(answer):
    text = strip_thoughts(answer)
    assert text is not None and find_objects(text) == [json.loads(OK)]


@pytest.mark.parametrize(
    'answer',
    [
        f'<think>{DRAFT}',
        f'<think>a<think>b</think>{DRAFT}',
        f'{DRAFT}<think>wait',
        f'<|channel|>analysis<|message|>{DRAFT}',
        f'<|channel|>final<|message|>{DRAFT}<|channel|>analysis<|message|>but',
        f'analysisWe draft {DRAFT}',
        f'[THINK]{DRAFT}',
        f'Here is my thought process: {DRAFT}',
    ],
)
def test_thoughts_that_do_not_end_are_no_answer(answer):
    assert strip_thoughts(answer) is None


@pytest.mark.parametrize('answer', ['', 'a < b', 'Analysis: x', f'An {DRAFT}'])
def test_without_thoughts_an_answer_stays(answer):
    assert strip_thoughts(answer) == answer


def test_objects():
    assert find_objects('{1} {"a": 1} {x} {"b": {"c": 2}} [{}] {"d": {"e": 3}, ') == [
        {'a': 1},
        {'b': {'c': 2}},
        {},
    ]
    assert find_objects('{"a": 1, "a": 2}') == [{'a': 2, 'a (given twice)': None}]
    assert find_objects('{"a": 12345678901234567890}') == [
        {'a': '12345678901234567890'}
    ]


def test_whole_objects():
    assert is_whole_object(f' {OK}\n')
    for text in ('', OK[:-1], f'{OK}.', f'x{OK}', OK * 2):
        assert not is_whole_object(text)


@pytest.mark.parametrize(
    'piece', ['{', '{"', '{"a":', '{"a":"', '{"a":[<think>', '<', '<think ', '<think>']
)
def test_hostile_answers_take_linear_time(piece):
    start = time.monotonic()
    text = piece * 100_000
    strip_thoughts(text)
    assert find_objects(text) == []
    assert time.monotonic() - start < 5
