from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from pyg_irllrec.text import SentenceEncoder


def test_a_missing_extra_is_named(monkeypatch):
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


@pytest.fixture
def library(monkeypatch):
    class SentenceTransformer:
        max_seq_length = None

        def __init__(self, model, device):
            pass

        def get_sentence_embedding_dimension(self):
            return 3

    module = types.SimpleNamespace(
        SentenceTransformer=SentenceTransformer, __version__='5.0'
    )
    monkeypatch.setitem(sys.modules, 'sentence_transformers', module)
    return module


def test_describes_itself(library):
    encoder = SentenceEncoder('all-MiniLM-L6-v2')
    assert repr(encoder) == "SentenceEncoder('all-MiniLM-L6-v2')"
    described = {
        'encoder': 'SentenceEncoder',
        'model': 'all-MiniLM-L6-v2',
        'dimension': 3,
        'library': 'sentence-transformers 5.0',
    }
    assert encoder.describe() == described
    # The name in newer versions.
    library.SentenceTransformer.get_embedding_dimension = lambda self: 4
    library.SentenceTransformer.max_seq_length = 256
    assert encoder.describe() == described | {'dimension': 4, 'max_seq_length': 256}


def test_a_model_in_a_folder_is_identified_by_its_content(library, tmp_path):
    described = []
    for parent, weights in (('a', b'1'), ('b', b'1'), ('c', b'2')):
        folder = tmp_path / parent / 'model'
        (folder / '.git').mkdir(parents=True)
        (folder / '.git' / 'index').write_text(parent)
        (folder / 'weights').write_bytes(weights)
        described.append(SentenceEncoder(str(folder)).describe())
    assert described[0] == described[1] != described[2]
    assert described[0]['model'] == described[2]['model'] == 'model'
