from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from pyg_irllrec.text import SentenceEncoder


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sentence_transformers', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[text\]'"):
        SentenceEncoder('any')


def test_passes_texts_and_options_on(monkeypatch):
    class SentenceTransformer:
        def __init__(self, model, device):
            assert (model, device) == ('folder', 'cpu')

        def encode(self, texts, **options):
            assert options['batch_size'] == 2 and options['normalize_embeddings']
            return np.ones((len(texts), 3), dtype=np.float64)

    module = types.SimpleNamespace(SentenceTransformer=SentenceTransformer)
    monkeypatch.setitem(sys.modules, 'sentence_transformers', module)
    vectors = SentenceEncoder('folder', batch_size=2, device='cpu')(('a', 'b', 'c'))
    assert vectors.shape == (3, 3) and vectors.dtype == np.float32
