from __future__ import annotations

import pytest

from pyg_irllrec.cli.make_encoder import cached, make_encoder
from pyg_irllrec.text import CachedEncoder, OpenAIEncoder, TfidfEncoder


def test_encoders_by_name(tmp_path, monkeypatch):
    encoder = make_encoder('tfidf', False)
    assert isinstance(encoder, TfidfEncoder)
    assert cached(encoder, tmp_path, False) is encoder
    pytest.importorskip('openai')
    monkeypatch.setenv('OPENAI_API_KEY', 'none')
    for name, url in (
        ('openai:small', 'https://api.openai.com/v1'),
        ('openai:small@http://localhost:1/v1', 'http://localhost:1/v1'),
    ):
        encoder = make_encoder(name, False)
        assert isinstance(encoder, OpenAIEncoder) and encoder.model == 'small'
        assert encoder.describe()['base_url'].rstrip('/') == url
        assert isinstance(cached(encoder, tmp_path, False), CachedEncoder)


@pytest.mark.parametrize('name', ['', 'bert', 'sentence', 'sentence:', 'openai:'])
def test_other_names_are_rejected(name):
    with pytest.raises(ValueError, match='--encoder must be'):
        make_encoder(name, False)
