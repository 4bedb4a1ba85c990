from __future__ import annotations

import copy
import pickle

import pytest

from pyg_irllrec.text._api_key import ApiKey

KEY = 'sk-of-this-test'


def test_the_argument_comes_before_the_environment(monkeypatch):
    monkeypatch.setenv('OPENAI_API_KEY', 'another\n')
    assert ApiKey(f'{KEY}\n').get() == KEY
    key = ApiKey()
    assert key.get() == 'another'
    monkeypatch.setenv('OPENAI_API_KEY', 'a third')
    with pytest.raises(ValueError, match='printable ASCII characters without spaces'):
        key.get()
    monkeypatch.delenv('OPENAI_API_KEY')
    with pytest.raises(ValueError, match="'api_key' must be given, or"):
        key.get()


def test_is_neither_shown_nor_pickled(monkeypatch):
    key = ApiKey(KEY)
    assert KEY not in repr(key) + str(key) + f'{key}' and not hasattr(key, '__dict__')
    assert copy.deepcopy(key) is key
    with pytest.raises(pickle.PicklingError, match='set OPENAI_API_KEY') as caught:
        pickle.dumps(key)
    assert KEY not in str(caught.value)
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    content = pickle.dumps(ApiKey())
    assert KEY.encode() not in content and pickle.loads(content).get() == KEY


@pytest.mark.parametrize(
    ('key', 'text', 'shown'),
    [
        ('sk-0123456789', '"sk-0123456789x" sk-0123456789', '"***x" ***'),
        ('a', 'a cat sat; Bearer a', 'a cat sat; Bearer ***'),
        ('none', 'nonet none: "none"', 'nonet ***: "***"'),
        ('a.b+(c', 'a.b+(c aXb+(c', '*** aXb+(c'),
    ],
)
def test_a_key_is_redacted_and_no_other_word(key, text, shown):
    assert ApiKey(key).redact(text) == shown
