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


def values(text):
    return [found.value for found in find_objects(text)]


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
        f'{OK}\n(I kept <think> off.)',
        f'{OK}\nHere is my response: see above',
        f'<answer>{OK}</answer>',
        f'<function=respond>{OK}</function>',
        f'<plan>{DRAFT}<final_answer>{OK}</final_answer></plan>',
        f'<s>{OK}</s>',
        f'<pre><code>{OK}</code></pre>',
        f'I read <evidence>.\n{OK}',
        f'### Thinking\n{DRAFT}\n#### Likes\n{DRAFT}\n### Answer\n{OK}',
        f'**Reasoning:** {DRAFT}\n**Answer:** {OK}',
        f'{OK}\n\n**Reasoning:** calm',
        f'**Reasoning:** They like calm.\n\n```json\n{OK}\n```\n',
        f'### Analysis\n1. **Likes:** calm\n\n{OK}',
        f'Thinking...\n{DRAFT}\n...done thinking.\n\n{OK}',
        f'```thinking\n```json\n{DRAFT}\n```\n```\n```json\n{OK}\n```',
    ],
)
def test_thoughts_are_removed_from_answers(answer):
    text = strip_thoughts(answer)
    assert text is not None and values(text) == [json.loads(OK)]


@pytest.mark.parametrize(
    'around',
    [
        '{}</think>',
        '<analysis>{}</analysis>',
        '<thinking_process>{}</thinking_process>no',
        '<internal-reasoning>{}</internal-reasoning>no',
        '<chain_of_thought>{}</chain_of_thought>no',
        '<antThinking>{}</antThinking>no',
        '<inner_monologue>{}</inner_monologue>no',
        '<CoT>{}</CoT>no',
        '<draft>{}</draft>no',
        '<scratchpad_2>{}</scratchpad_2>no',
        '<anything>{}</anything>no',
        '<details type="reasoning"><summary>3 s</summary>\n{}\n</details>\nno',
        '<div class="thinking"><div></div>{}</div>no',
        '<unused94>thought\n{}<unused95>no',
        'Thinking...\n{}\n...done thinking.\n\nno',
        '```thinking\n{}\n```\nno',
        '<|thinking_start|>{}<|thinking_end|>no',
        '<|im_start|>think\n{}<|im_end|>no',
        '<\uff5cbegin\u2581of\u2581thinking\uff5c>{}<\uff5cend\u2581of\u2581thinking\uff5c>no',
        '[REASONING]{}[/REASONING]no',
        '[BEGIN THOUGHTS]{}[END THOUGHTS]no',
        '&lt;think&gt;{}&lt;/think&gt;no',
        '### Thinking\n{}\n### Answer\nno',
        '**Reasoning:** {}\n**Answer:** none',
        '**My thoughts** {}',
        '### Thinking\nMaybe:\n{}',
        '### Reasoning\n{}',
        '**Reasoning:** maybe {}',
        '**Reasoning:** maybe\n{}\nbut no',
        '**Reasoning:** maybe {}\n{}',
    ],
)
def test_drafts_in_thoughts_are_not_answers(around):
    text = strip_thoughts(around.replace('{}', DRAFT))
    assert text is not None and values(text) == []


@pytest.mark.parametrize(
    'answer',
    [
        f'{OK}\n<think>hm {DRAFT}',
        f'{DRAFT} hm\n<think>wait.',
        f'{DRAFT}\nor <think>wait, the',
        f'<details type="reasoning">{DRAFT}',
        f'```thinking\n{DRAFT}',
        f'Thinking...\n{DRAFT}',
        f'<think>{DRAFT}',
        f'<think>a<think>b</think>{DRAFT}',
        f'{DRAFT}<think>wait',
        f'<|channel|>analysis<|message|>{DRAFT}',
        f'<|channel|>final<|message|>{DRAFT}<|channel|>analysis<|message|>but',
        f'analysisWe draft {DRAFT}',
        f'[THINK]{DRAFT}',
        f'Here is my thought process: {DRAFT}',
        f'{OK}\nI kept <think> off. <|channel|>analysis<|message|>So this is it.',
    ],
)
def test_unfinished_thoughts_are_not_an_answer(answer):
    assert strip_thoughts(answer) is None


@pytest.mark.parametrize('answer', ['', 'a < b', 'Analysis: x', f'An {DRAFT}'])
def test_an_answer_without_thoughts_stays_unchanged(answer):
    assert strip_thoughts(answer) == answer


def test_objects():
    assert values('{1} {"a": 1} {x} {"b": {"c": 2}} [{}] {"d": {"e": 3}, ') == [
        {'a': 1},
        {'b': {'c': 2}},
        {},
        None,
    ]
    for malformed in ("{'a': 1}", '{a: 1}', '{"a": 1,}', '{ /* a */ "a": 1}', 'a {\n'):
        assert values(malformed) == [None]
    assert values('{\u00a0"a":\u2003\ufeff1}') == [{'a': 1}]
    assert values('{"a": 1, "a": 2}') == [{'a': 2, 'a (given twice)': None}]
    assert values('{"a": 12345678901234567890}') == [{'a': '12345678901234567890'}]
    assert [each.label for each in find_objects('My draft:\n{} "b": {} c {}')] == [
        'My draft',
        ' "b"',
        '',
    ]


def test_whole_objects():
    assert is_whole_object(f' {OK}\n')
    assert is_whole_object(f'<think>{DRAFT}</think>```json\n{OK}\n```\n')
    for text in ('', OK[:-1], f'{OK}.', f'x{OK}', OK * 2):
        assert not is_whole_object(text)


BLANKS = ' ' * 3000


@pytest.mark.parametrize(
    'piece',
    [
        *('{', '{"', '{"a":', '{"a":"', '{"a":[<think>', '{}', '{ \n'),
        *('<', '<think ', '<think>', '<a>', '</a>', '<a ', '&lt;', '<|', '<|channel|>'),
        *('[', '[think', '`', '```', '```think ', '# ', '\n# a', '**a', '\n**', ':'),
        *('\u25c1', '\uff1c', '\n', ' ', '\u00a0', 'Thinking...\n', '<unused1>', 'a: '),
        *(f'<{BLANKS}', f'<think{BLANKS}', f'\u25c1{BLANKS}/', f'<|channel|>{BLANKS}'),
        *(f'{{{BLANKS}', f'```{BLANKS}', f'\n#{BLANKS}', f'a:{BLANKS}', f'[{BLANKS}'),
    ],
)
def test_hostile_answers_take_linear_time(piece):
    start = time.monotonic()
    text = piece * (300_000 // len(piece))
    strip_thoughts(text)
    find_objects(text)
    is_whole_object(f'{text}{OK}')
    assert time.monotonic() - start < 5


def test_a_repeated_name_after_many_others_takes_linear_time():
    names = ', '.join(f'"{k}": 1' for k in range(100_000))
    start = time.monotonic()
    assert 'x (given twice)' in values(f'{{{names}, "x": 1, "x": 2}}')[0]
    assert time.monotonic() - start < 5
