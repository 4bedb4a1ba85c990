from __future__ import annotations

import numpy as np
import pytest

from pyg_irllrec.text import TfidfEncoder

TEXTS = [
    'likes long hikes',
    'hikes in the mountains',
    'espresso machine',
    'fresh espresso',
]


def test_similar_texts_have_similar_unit_vectors():
    vectors = TfidfEncoder(dim=3)(TEXTS)
    assert vectors.shape == (4, 3) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosine = vectors @ vectors.T
    assert cosine[0, 1] > 0.2 > abs(cosine[0, 2])


def test_the_same_seed_gives_the_same_vectors():
    encoder = TfidfEncoder(dim=2, seed=1)
    assert repr(encoder) == 'TfidfEncoder(dim=2, seed=1)'
    assert (encoder(TEXTS) == TfidfEncoder(dim=2, seed=1)(TEXTS)).all()


def test_the_width_is_at_most_the_vocabulary():
    assert TfidfEncoder(dim=64)(['tea', 'tea coffee']).shape == (2, 2)
    assert TfidfEncoder()(['tea', '']).tolist() == [[1.0], [0.0]]


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        ([], 'must hold words'),
        (['', 'the'], 'must hold words'),
        ('tea', 'got a single text'),
    ],
)
def test_texts_without_words(texts, message):
    with pytest.raises(ValueError, match=message):
        TfidfEncoder()(texts)


def test_describes_itself():
    described = TfidfEncoder(dim=3, seed=1).describe()
    assert described.pop('library').startswith('scikit-learn ')
    assert described == {'encoder': 'TfidfEncoder', 'dim': 3, 'seed': 1}


def test_a_fitted_encoder_maps_new_texts_to_the_same_space():
    encoder = TfidfEncoder(dim=3).fit(TEXTS)
    vectors = encoder(TEXTS)
    np.testing.assert_allclose(encoder(TEXTS[:1]), vectors[:1], atol=1e-6)
    (new,) = encoder(['mountains and hikes']) @ vectors.T
    assert new[1] > 0.5 > abs(new[2])
    assert encoder(['tea']).tolist() == [[0.0] * 3] and encoder([]).shape == (0, 3)
    assert (encoder.fit(TEXTS[2:])(TEXTS[:2]) == 0).all(), 'fitted anew'


def test_the_state_moves_to_another_encoder():
    first, second = TfidfEncoder(dim=2).fit(TEXTS), TfidfEncoder(dim=2)
    assert first.describe() != second.describe()
    second.state = first.state
    assert (first(TEXTS) == second(TEXTS)).all()
    assert first.describe() == second.describe()
    assert not first.corpus_dependent and TfidfEncoder().corpus_dependent
    assert first.describe() != TfidfEncoder(dim=2).fit(TEXTS[1:]).describe()


def test_a_call_without_fit_keeps_no_state():
    encoder = TfidfEncoder(dim=2)
    encoder(TEXTS)
    assert encoder.state is None


def test_fit_needs_words():
    with pytest.raises(ValueError, match='must hold words'):
        TfidfEncoder().fit(['', 'the'])
