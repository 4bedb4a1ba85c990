from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from torch_geometric.transforms import Compose

from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.transforms.encode_text import EncodeText
from pyg_irllrec.transforms.profile_texts import ProfileTexts
from pyg_irllrec.transforms.profile_vectors import ProfileVectors
from pyg_irllrec.transforms.reduce_text import ReduceText
from tests.functional._kernels.allocations import LargestTensor
from tests.transforms.profile_data import NUM_ITEMS, RATES, same_training, split_data

TRAIN = [(0, 0), (0, 1), (1, 1), (2, 1), (2, 2)]


def with_vectors(train, **options):
    data = split_data(train, **options)
    generator = torch.Generator().manual_seed(0)
    data['item'].profile = torch.randn(NUM_ITEMS, 3, generator=generator)
    return data


def by_hand(data, weigh):
    """The profiles user by user, given the weight of each interaction."""
    out = torch.zeros(5, 3)
    for edge, (user, item) in enumerate(data[RATES].edge_index.t().tolist()):
        out[user] += weigh(edge, item) * data['item'].profile[item]
    return torch.nn.functional.normalize(out)


def idf(item):
    count = sum(pair[1] == item for pair in TRAIN)
    return 1 + math.log((1 + 5) / (1 + count))


def test_idf():
    data = with_vectors(TRAIN)
    out = ProfileVectors()(data)['user'].profile
    torch.testing.assert_close(out, by_hand(data, lambda edge, item: idf(item)))
    torch.testing.assert_close(out.norm(dim=1), torch.tensor([1.0, 1, 1, 0, 0]))
    assert 'profile' not in data['user']


def test_ratings_weigh():
    rating = [5.0, 1.0, 3.0, 0.0, 2.0]
    data = with_vectors(TRAIN, rating=rating)
    expected = by_hand(data, lambda edge, item: rating[edge] * idf(item))
    torch.testing.assert_close(ProfileVectors()(data)['user'].profile, expected)
    # Also in halves, with integers for ratings.
    data['item'].profile = data['item'].profile.half().float()
    expected = ProfileVectors()(data)['user'].profile
    data['item'].profile = data['item'].profile.half()
    data[RATES].rating = data[RATES].rating.int()
    out = ProfileVectors()(data)['user'].profile
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected)


def test_uniform():
    data = with_vectors(TRAIN, rating=[5.0, 1.0, 3.0, 0.0, 2.0])
    out = ProfileVectors(weight='uniform')(data)['user'].profile
    torch.testing.assert_close(out, by_hand(data, lambda edge, item: 1))


def test_repeated_interactions_count():
    data = with_vectors([*TRAIN, (0, 1), (0, 1), (0, 1), (0, 1)])
    out = ProfileVectors(weight='uniform')(data)['user'].profile
    torch.testing.assert_close(out, by_hand(data, lambda edge, item: 1))
    assert ProfileVectors()(data)['user'].profile.isfinite().all()


def test_the_order_of_edges_does_not_matter():
    data = with_vectors(TRAIN, rating=[5.0, 1.0, 3.0, 0.0, 2.0])
    expected = ProfileVectors()(data)['user'].profile
    order = torch.tensor([4, 2, 0, 1, 3])
    data[RATES].edge_index = data[RATES].edge_index[:, order]
    data[RATES].rating = data[RATES].rating[order]
    torch.testing.assert_close(ProfileVectors()(data)['user'].profile, expected)


def test_no_training_interactions():
    out = ProfileVectors()(with_vectors([]))['user'].profile
    assert out.shape == (5, 3) and not out.any()


def test_memory_does_not_grow_with_edges_times_width():
    data = with_vectors(TRAIN)
    num_edges, width = 2000, 32
    data['item'].profile = torch.randn(NUM_ITEMS, width)
    data[RATES].edge_index = torch.stack(
        [torch.arange(num_edges) % 5, torch.arange(num_edges) % NUM_ITEMS]
    )
    with LargestTensor() as largest:
        ProfileVectors()(data)
    assert largest.numel <= 4 * num_edges


@given(same_training())
@settings(deadline=None, max_examples=30)
@pytest.mark.filterwarnings('ignore:.*(blank|dimensions keep)')
def test_held_out_interactions_change_no_vector(pair):
    chain = Compose(
        [
            ProfileTexts(),
            EncodeText(TfidfEncoder()),
            ReduceText(2),
            EncodeText(TfidfEncoder(), 'text', 'own', sides=['item']),
            ProfileVectors('own'),
        ]
    )
    first, second = (chain(data) for data in pair)
    for name in ('profile', 'own'):
        for side in ('user', 'item'):
            assert torch.equal(first[side][name], second[side][name])


def test_data_that_was_not_split():
    data = with_vectors(TRAIN)
    expected = ProfileVectors()(data)['user'].profile
    del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    with pytest.raises(ValueError, match='apply SplitInteractions or RandomLinkSplit'):
        ProfileVectors()(data)
    out = ProfileVectors(unsplit=True)(data)['user'].profile
    assert torch.equal(out, expected)


@pytest.mark.parametrize('rating', [-1.0, float('nan'), float('inf')])
def test_wrong_ratings(rating):
    data = with_vectors(TRAIN, rating=[1.0, 1.0, rating, rating, 1.0])
    with pytest.raises(ValueError, match=r'in 2 interactions \(first: interaction 2\)'):
        ProfileVectors()(data)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'weight' must be one of 'idf', 'uniform'"):
        ProfileVectors(weight='tfidf')
    data = with_vectors(TRAIN, rating=[1.0, 1.0])
    with pytest.raises(
        ValueError, match=r"'rating' must have shape \(5,\), got \(2,\)"
    ):
        ProfileVectors()(data)
    data = with_vectors(TRAIN)
    data['item'].profile[2, 0] = float('nan')
    with pytest.raises(ValueError, match=r"data\['item'\].profile' must be finite"):
        ProfileVectors()(data)
    with pytest.raises(
        ValueError, match=r"'data' must hold data\['item'\].vec, got no"
    ):
        ProfileVectors('vec')(data)


def test_repr():
    assert repr(ProfileVectors()) == 'ProfileVectors()'
