from __future__ import annotations

import warnings

import pytest
import torch

from pyg_irllrec.transforms.reduce_text import ReduceText
from tests.transforms.profile_data import split_data


@pytest.fixture
def data():
    """Vectors in a plane, with some noise around it."""
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(2, 10, generator=generator)
    data = split_data([(0, 0)], text=['x'] * 20, num_users=30)
    for side, number in (('user', 30), ('item', 20)):
        place = torch.randn(number, 2, generator=generator)
        noise = torch.randn(number, 10, generator=generator)
        data[side].profile = place @ plane + 0.01 * noise
    return data


def stacked(data):
    return torch.cat([data['user'].profile, data['item'].profile])


def test_one_space_for_both_sides(data):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        out = ReduceText(2)(data)
    assert out['user'].profile.shape == (30, 2)
    assert out['item'].profile.shape == (20, 2)
    assert 0.99 < out.profile_explained_variance < 1
    before, after = stacked(data), stacked(out)
    torch.testing.assert_close(after @ after.t(), before @ before.t(), atol=0.3, rtol=0)
    assert data['user'].profile.size(1) == 10
    assert 'profile_explained_variance' not in data


def test_the_full_width_loses_nothing(data):
    out = ReduceText(10)(data)
    before, after = stacked(data), stacked(out)
    torch.testing.assert_close(after @ after.t(), before @ before.t())
    assert out.profile_explained_variance == pytest.approx(1)


def test_the_same_seed_gives_the_same_vectors(data):
    first, second = (ReduceText(2, seed=1)(data) for _ in range(2))
    assert torch.equal(stacked(first), stacked(second))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(data, dtype):
    expected = ReduceText(2)(data)
    for side in ('user', 'item'):
        data[side].profile = data[side].profile.to(dtype)
    out = ReduceText(2)(data)
    assert stacked(out).dtype == torch.float32
    torch.testing.assert_close(stacked(out), stacked(expected), atol=0.1, rtol=0)


def test_one_side_and_another_name(data):
    data['item'].vector = data['item'].profile
    out = ReduceText(2, 'vector', sides=['item'])(data)
    assert out['item'].vector.shape == (20, 2)
    assert out['item'].profile.shape == (20, 10)
    assert out.vector_explained_variance > 0.99


def test_warns_that_little_is_kept(data):
    data['user'].profile = torch.randn(30, 10)
    data['item'].profile = torch.randn(20, 10)
    with pytest.warns(UserWarning, match=r'2 dimensions keep \d+% of the variance of'):
        out = ReduceText(2)(data)
    assert 0 < out.profile_explained_variance < 0.5


def test_equal_vectors(data):
    for side in ('user', 'item'):
        data[side].profile = torch.ones_like(data[side].profile)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        out = ReduceText(2)(data)
    assert out.profile_explained_variance == 1
    assert stacked(out).isfinite().all()


def test_whitened_components_have_unit_variance_and_no_correlation(data):
    for side in ('user', 'item'):
        data[side].profile[0] = 0  # Nodes without a text.
        data[side].profile[1:] += 7
    out = ReduceText(10, whiten=True)(data)
    assert not out['user'].profile[0].any() and not out['item'].profile[0].any()
    rows = torch.cat([out[side].profile[1:] for side in ('user', 'item')])
    torch.testing.assert_close(rows.T.cov(), torch.eye(10), atol=1e-2, rtol=0)
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(10), atol=1e-3, rtol=0)
    assert out.profile_explained_variance == pytest.approx(1)


def test_whitening_fitted_on_one_side(data):
    alone = ReduceText(2, whiten=True, sides='item')(data)
    expected = alone['item'].profile
    data['user'].profile = data['item'].profile[:3].repeat(10, 1) * 5
    out = ReduceText(2, whiten=True, fit_on='item')(data)
    torch.testing.assert_close(out['item'].profile, expected)
    mean = data['item'].profile.mean(dim=0)
    moved = (data['user'].profile - mean).norm(dim=1)
    assert torch.equal(out['user'].profile.norm(dim=1).argmax(), moved.argmax())
    assert out['user'].profile.std() > 2


def test_shrinkage_leaves_weak_components_weak(data):
    def variances(shrinkage):
        out = ReduceText(10, whiten=True, shrinkage=shrinkage)(data)
        return stacked(out).double().var(dim=0)

    rows = stacked(data).double()
    raw = torch.linalg.eigvalsh(rows.T.cov()).flip(0)
    expected = raw / (0.5 * raw + 0.5 * raw.mean())
    torch.testing.assert_close(variances(0.5), expected, rtol=1e-2, atol=1e-6)
    assert variances(0.0).min() > 0.9 and variances(0.5).min() < 0.01


@pytest.mark.parametrize('rank', [0, 1])
def test_whitening_of_vectors_without_variance(data, rank):
    for side in ('user', 'item'):
        place = torch.randn(len(data[side].profile), rank)
        data[side].profile = 3 + place @ torch.ones(rank, 10)
    out = ReduceText(4, whiten=True)(data)
    variance = stacked(out).var(dim=0)
    torch.testing.assert_close(
        variance, torch.tensor([1.0] * rank + [0.0] * (4 - rank)), atol=1e-2, rtol=0
    )


def test_wrong_arguments(data):
    with pytest.raises(
        ValueError, match="'dim' must be an integer of at least 1, got 0"
    ):
        ReduceText(0)
    with pytest.raises(
        ValueError,
        match=r"'dim' must be at most 10, because 'profile' has 50 rows of width",
    ):
        ReduceText(11)(data)
    with pytest.raises(ValueError, match="'shrinkage' must be 0 unless whiten=True"):
        ReduceText(2, shrinkage=0.5)
    with pytest.raises(ValueError, match="'fit_on' must be one of 'user', 'item', got"):
        ReduceText(2, fit_on='film')(data)
    with pytest.raises(ValueError, match="'fit_on' must name at least one node type"):
        ReduceText(2, fit_on=[])
    data['item'].profile[4:] = 0
    with pytest.raises(
        ValueError, match="'dim' must be at most 4, because 'profile' has 4"
    ):
        ReduceText(5, whiten=True, fit_on='item')(data)
    data['user'].profile[3, 0] = float('inf')
    with pytest.raises(ValueError, match=r"'user'.*must be finite.*first: row 3"):
        ReduceText(2)(data)
    data['user'].profile = torch.ones(30, 9)
    with pytest.raises(ValueError, match='one width for user, item, got 9, 10'):
        ReduceText(2)(data)
    data['user'].profile = torch.ones(29, 10)
    with pytest.raises(ValueError, match='must have a row per node, 30 rows, got 29'):
        ReduceText(2)(data)
    data['user'].profile = [[1.0]] * 30
    with pytest.raises(ValueError, match='must be a tensor, got list'):
        ReduceText(2)(data)
    del data['user'].profile
    with pytest.raises(ValueError, match=r"must hold data\['user'\].profile, got none"):
        ReduceText(2)(data)


def test_repr():
    assert repr(ReduceText(2, sides='user')) == "ReduceText(dim=2, sides=('user',))"
