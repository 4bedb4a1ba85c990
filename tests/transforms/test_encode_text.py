from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.text import CachedEncoder, TfidfEncoder
from pyg_irllrec.transforms.encode_text import EncodeText
from pyg_irllrec.utils.text_array import TextArray
from tests.text.hash_encoder import HashEncoder
from tests.transforms.profile_data import split_data


@pytest.fixture
def encoder():
    return HashEncoder(3)


@pytest.fixture
def data():
    data = split_data([(0, 0)], text=['x', '', 'y'], num_users=2)
    data['user'].profile_text = ['a', ' \n']
    data['item'].profile_text = ['b', '', 'a']
    return data


def test_both_sides_in_one_call(data, encoder):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        out = EncodeText(encoder)(data)
    assert encoder.batches == [['a', 'b', 'a']]  # Blank texts are left out.
    a, b = torch.from_numpy(encoder.expected(['a', 'b']))
    zero = torch.zeros(3)
    for side, expected in (('user', [a, zero]), ('item', [b, zero, a])):
        assert out[side].profile.dtype == torch.float32
        assert torch.equal(out[side].profile, torch.stack(expected))
        assert 'profile' not in data[side]


def test_one_side_and_other_names(data, encoder):
    out = EncodeText(encoder, 'text', 'vector', sides=('item',))(data)
    assert encoder.batches == [['x', 'y']]
    assert out['item'].vector.shape == (3, 3) and 'vector' not in out['user']


def test_equals_the_synthetic_data():
    data = SyntheticIntents(40, 30)[0]
    out = EncodeText(TfidfEncoder(), target='again')(data)
    for side in ('user', 'item'):
        torch.testing.assert_close(out[side].again, data[side].profile)


def test_leaves_an_encoder_fitted_on_both_sides():
    data = SyntheticIntents(40, 30)[0]
    encoder = TfidfEncoder(8)
    encode = EncodeText(encoder)
    encode(SyntheticIntents(30, 20, seed=1)[0])
    out = encode(data)
    assert encoder.state is not None
    new = torch.from_numpy(encoder(data['item'].profile_text))
    torch.testing.assert_close(new, out['item'].profile)


def test_transforms_that_share_an_encoder_share_a_space():
    encoder = TfidfEncoder(8)
    profiles = EncodeText(encoder)
    intents = EncodeText(encoder, 'intent_text', 'intent')
    data = intents(profiles(SyntheticIntents(40, 30)[0]))
    texts = data['item'].profile_text
    assert torch.equal(data['item'].profile, torch.from_numpy(encoder(texts)))
    before = encoder.state
    profiles(SyntheticIntents(30, 40)[0])  # It is fitted again on other texts.
    assert encoder.state is not before


def test_keeps_what_an_encoder_was_fitted_on():
    data = SyntheticIntents(40, 30)[0]
    encoder = TfidfEncoder(8).fit(data['item'].intent_text)
    out = EncodeText(encoder)(data)
    expected = torch.from_numpy(encoder(data['user'].profile_text))
    assert torch.equal(out['user'].profile, expected)
    assert len(encoder.state.words) < 100


def test_lazy_texts_and_a_cache(data, encoder, tmp_path):
    pytest.importorskip('pyarrow')
    data['item'].profile_text = TextArray(data['item'].profile_text)
    cached = CachedEncoder(encoder, tmp_path / 'cache.db', progress=False)
    first, second = (EncodeText(cached)(data)['item'].profile for _ in range(2))
    assert torch.equal(first, second) and encoder.batches == [['a', 'b']]


def test_on_the_device_of_the_data(data, encoder):
    data = data.to('meta')
    assert EncodeText(encoder)(data)['user'].profile.device.type == 'meta'


def test_warns_once_that_most_texts_are_blank(data, encoder):
    data['item'].profile_text = ['', '', 'a']
    with pytest.warns(UserWarning) as said:
        EncodeText(encoder)(data)
    (warning,) = said
    assert str(warning.message) == (
        "3 of 5 texts in 'profile_text' are blank: these nodes get zeros as 'profile'"
    )
    data['user'].profile_text, data['item'].profile_text = ['', ''], ['', '', '']
    with pytest.raises(ValueError, match='must hold at least one text, got 5 blanks'):
        EncodeText(encoder)(data)


def test_half_of_the_texts_is_enough(data, encoder):
    data['user'].profile_text, data['item'].profile_text = ['a'], ['', 'b', '']
    data['user'].num_nodes = 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        EncodeText(encoder)(data)


@pytest.mark.parametrize('wrong', [None, float('nan'), 3, b'bytes'])
def test_wrong_texts(data, encoder, wrong):
    data['item'].profile_text[1] = wrong
    with pytest.raises(ValueError, match=r"'item'.*must hold texts, got .* in row 1"):
        EncodeText(encoder)(data)
    assert encoder.batches == []


@pytest.mark.parametrize(
    ('answer', 'message'),
    [
        (np.ones((2, 3)), r"'encoder' must return one row per text, 3 rows"),
        (np.full((3, 2), np.nan), 'must return finite numbers, got NaN'),
        (np.full((3, 2), 1e300), 'must return finite numbers, got NaN or infinity'),
    ],
)
@pytest.mark.filterwarnings('ignore:overflow')
def test_wrong_vectors(data, answer, message):
    with pytest.raises(ValueError, match=message):
        EncodeText(lambda texts: answer)(data)


def test_wrong_arguments(data, encoder):
    with pytest.raises(ValueError, match=r"'encoder' must be callable .* got str"):
        EncodeText('all-MiniLM-L6-v2')
    for sides in ((), ('user', 'user')):
        with pytest.raises(ValueError, match="'sides' must be at least one node type"):
            EncodeText(encoder, sides=sides)
    del data['user'].profile_text
    with pytest.raises(ValueError, match=r"data\['user'\].profile_text, got none"):
        EncodeText(encoder)(data)
    with pytest.raises(ValueError, match=r'needs users and items in a HeteroData'):
        EncodeText(encoder)(data.to_homogeneous())


def test_repr():
    assert repr(EncodeText(TfidfEncoder(), target='own')) == (
        "EncodeText(encoder=TfidfEncoder(dim=64, seed=0), target='own')"
    )
