from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from pyg_irllrec.serving._saved_encoder import (
    SavedEncoder,
    build_encoder,
    encoder_record,
)
from pyg_irllrec.text import CachedEncoder, OpenAIEncoder, TfidfEncoder

TEXTS = ['likes long hikes', 'hikes in the mountains', 'espresso', 'fresh espresso']


def again(encoder):
    record, tensors = encoder_record(encoder)
    return build_encoder(json.loads(json.dumps(record)), tensors)


@pytest.mark.parametrize('dim', [2, 64])
def test_a_fitted_encoder_gives_the_same_bits(dim):
    encoder = TfidfEncoder(dim, seed=3).fit(TEXTS)
    found = again(encoder)
    new = [*TEXTS, 'mountains and espresso', 'tea']
    assert (found(new) == encoder(new)).all()
    assert repr(found) == repr(encoder) and found.describe() == encoder.describe()


def test_no_encoder():
    assert encoder_record(None) == (None, {}) and build_encoder(None, {}) is None


def test_a_cache_is_not_saved(tmp_path):
    cached = CachedEncoder(TfidfEncoder(2).fit(TEXTS), tmp_path / 'cache.db')
    assert isinstance(again(cached), TfidfEncoder)


def test_a_server_is_saved_without_the_key(monkeypatch):
    pytest.importorskip('openai')
    encoder = OpenAIEncoder('small', 'http://localhost:1/v1', api_key='sk-secret')
    record, _ = encoder_record(encoder)
    assert record['model'] == 'small' and 'secret' not in str(record)
    found = again(encoder)
    assert isinstance(found, SavedEncoder) and repr(found) == "OpenAIEncoder('small')"
    assert encoder_record(found)[0] == record
    assert found.encoder.base_url == encoder.base_url
    assert found.describe() == {'encoder': 'OpenAIEncoder', 'model': 'small'}


def test_a_key_is_not_sent_to_a_server_that_a_bundle_names():
    pytest.importorskip('openai')
    found = again(OpenAIEncoder('small', 'https://evil.example/v1', api_key='sk-x'))
    with pytest.raises(ValueError, match='send texts and your API key to https://evil'):
        found(['a text'])


def test_a_library_is_imported_on_first_use(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sentence_transformers', None)
    record = {'class': 'SentenceEncoder', 'model': 'm', 'batch_size': 4}
    found = build_encoder(record | {'progress': False}, {})
    with pytest.raises(ImportError, match=r'pyg_irllrec\[text\]'):
        found(['a text'])


def test_an_own_encoder_is_left_out_with_a_warning():
    def mine(texts):
        return np.zeros((len(texts), 2))

    with pytest.warns(UserWarning, match=r'mine.* is not saved.*encoder=\.\.\.'):
        assert encoder_record(mine) == (None, {})


def test_tensors_that_do_not_fit():
    record, tensors = encoder_record(TfidfEncoder(2).fit(TEXTS))
    for name in ('idf', 'components'):
        with pytest.raises(ValueError, match='do not match its vectors'):
            build_encoder(record, tensors | {name: tensors[name][..., 1:]})
