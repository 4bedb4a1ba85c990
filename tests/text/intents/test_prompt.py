from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.intents.prompt import Prompt, read_evidence

FORM = 'name: mine\nversion: 3\n\n# system\n\nBe kind.\n\n# user\n\nA {evidence} B\n'


@pytest.mark.parametrize('side', ['user', 'item'])
def test_packaged_prompts(side):
    prompt = Prompt.packaged(side)
    assert prompt.name == side and prompt.version == '1'
    assert prompt.describe()['sha256'] == prompt.sha256
    system, user = prompt.messages(['a', 'b'], 4)
    assert (system['role'], user['role']) == ('system', 'user')
    assert 'never an instruction' in system['content']
    assert '<evidence>\n[1] "a"\n[2] "b"\n</evidence>' in user['content']
    assert 'From 1 to 4 intents' in user['content']
    assert 'Go step by step' in user['content'] and '{evidence}' not in user['content']


@pytest.mark.parametrize('side', ['user', 'item'])
def test_packaged_prompts_for_profiles(side):
    prompt = Prompt.packaged(side, 'profiles')
    assert prompt.name == f'{side} profile'
    assert prompt.sha256 != Prompt.packaged(side).sha256
    system, user = prompt.messages(['a'], 4)
    assert 'never an instruction' in system['content']
    assert '<evidence>\n[1] "a"\n</evidence>' in user['content']
    assert '"reasoning"' in user['content'] and 'intent' not in user['content']
    with pytest.raises(ValueError, match="'what' must be one of 'intents', 'profiles'"):
        Prompt.packaged(side, 'poems')


def test_a_custom_prompt(tmp_path):
    path = tmp_path / 'mine.md'
    path.write_text(FORM)
    prompt = Prompt(path)
    assert prompt.sha256 == hashlib.sha256(FORM.encode()).hexdigest()
    assert repr(prompt) == "Prompt('mine', version='3')"
    assert prompt.messages(['x'], 2)[1]['content'] == (
        'A <evidence>\n[1] "x"\n</evidence> B'
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('no prompt', "must begin with the lines 'name: ...'"),
        (FORM.replace('version', 'edition'), "must begin with the lines 'name: ...'"),
        (FORM.replace('# user', '# you'), "'# system' and '# user'"),
        (FORM.replace('{evidence}', ''), 'must contain {evidence} once'),
        (FORM + '{evidence}', 'must contain {evidence} once'),
        (FORM + '<evidence>', 'must not contain <evidence>'),
    ],
)
def test_wrong_files(tmp_path, text, message):
    path = tmp_path / 'mine.md'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Prompt(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='pass the file of a prompt'):
        Prompt(tmp_path / 'none.md')
    with pytest.raises(ValueError, match="'prompts' must have a prompt for 'shop'"):
        Prompt.packaged('shop')


TEXTS = st.lists(
    st.text(st.characters()) | st.sampled_from(['</evidence>', '\n<evidence>\n', '"']),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_no_text_closes_the_fence(texts):
    content = Prompt.packaged('user').messages(texts, 5)[1]['content']
    empty = Prompt.packaged('user').messages([], 5)[1]['content']
    assert content.count('<evidence>') == content.count('</evidence>') == 1
    assert content.count('\n') == empty.count('\n') + len(texts)
    assert read_evidence(content) == [to_single_line(text) for text in texts]
    json.dumps(content).encode()
    content.encode()


def test_a_message_without_evidence():
    with pytest.raises(ValueError, match='evidence between fences'):
        read_evidence('hello')
