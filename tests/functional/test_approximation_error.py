from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import approximation_error, info_nce
from pyg_irllrec.functional._kernels import info_nce_moments_sum

IMPLS = ['moments', 'clusters']


def rows(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def gradient(query: Tensor, key: Tensor, **options: Any) -> Tensor:
    leaves = query.clone().requires_grad_(), key.clone().requires_grad_()
    return torch.cat(torch.autograd.grad(info_nce(*leaves, **options), leaves))


@pytest.mark.parametrize('impl', IMPLS)
@pytest.mark.parametrize('temperature', [0.5, 1.0, 10.0])
@pytest.mark.parametrize('common', [0.0, 2.0])
def test_approximations_are_close_to_exact(common, temperature, impl):
    query, key = rows(2, 2000, 32, seed=0) + common * rows(32, seed=1)
    close = info_nce(query, key, temperature=temperature, impl=impl)
    exact = info_nce(query, key, temperature=temperature)
    assert abs(close - exact) < 1e-3 * exact
    expected = gradient(query, key, temperature=temperature)
    error = gradient(query, key, temperature=temperature, impl=impl) - expected
    assert 0 < error.norm() / expected.norm() < 3e-2


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('eps', [0.0, 1e-2])
@pytest.mark.parametrize('other_keys', [False, True])
@pytest.mark.parametrize('weighted', [False, True])
def test_block_passes_equal_the_formula(
    weighted, other_keys, eps, reduction, monkeypatch
):
    monkeypatch.setattr(info_nce_moments_sum, 'ROWS', 7)
    leaves = [rows(30, 5, seed=seed) for seed in range(2)]
    leaves += [rows(40, 5, seed=2)] * other_keys
    options: dict[str, Any] = {'temperature': 0.5, 'eps': eps, 'impl': 'moments'}
    weight = rows(30, seed=3).abs()
    if weighted:
        options['key_weight'] = rows(40 if other_keys else 30, seed=4).abs()
        leaves.append(weight)
    for leaf in leaves:
        leaf.requires_grad_()

    def loss(by_rows: bool) -> Tensor:
        given = dict(options, weight=weight) if weighted else options
        if not by_rows:
            return info_nce(*leaves[: 2 + other_keys], reduction=reduction, **given)
        out = info_nce(*leaves[: 2 + other_keys], reduction='none', **given)
        if reduction == 'sum':
            return out.sum()
        return out.sum() / weight.sum() if weighted else out.mean()

    blocks, formula = loss(False), loss(True)
    torch.testing.assert_close(blocks, formula)
    torch.testing.assert_close(
        torch.autograd.grad(blocks, leaves), torch.autograd.grad(formula, leaves)
    )


def test_clusters_fit_clustered_keys():
    centre = rows(30, 32, seed=0).repeat_interleave(40, 0)
    query, key = (centre + 0.6 * rows(1200, 32, seed=seed) for seed in (1, 2))
    expected = gradient(query, key, temperature=0.2)
    error = {}
    for impl in IMPLS:
        torch.manual_seed(0)
        gap = gradient(query, key, temperature=0.2, impl=impl) - expected
        error[impl] = gap.norm() / expected.norm()
    assert error['clusters'] < 0.1 and error['clusters'] < error['moments'] / 2
    torch.manual_seed(0)
    first = info_nce(query, key, impl='clusters')
    torch.manual_seed(0)
    assert torch.equal(info_nce(query, key, impl='clusters'), first)


@pytest.mark.parametrize('impl', IMPLS)
def test_identical_keys_are_exact(impl):
    query, key = rows(20, 4, seed=0), rows(1, 4, seed=1).expand(20, 4)
    weight = rows(20, seed=2).abs()
    for key_weight in (None, weight):
        torch.testing.assert_close(
            info_nce(query, key, key_weight=key_weight, impl=impl),
            info_nce(query, key, key_weight=key_weight, impl='eager'),
        )


def test_moments_support_weights_and_other_keys():
    query, key = rows(30, 16, seed=0), rows(30, 16, seed=1)
    keys, twice = rows(40, 16, seed=2), torch.ones(40)
    twice[:15] = 2
    options = {'weight': torch.linspace(0, 1, 30), 'eps': 1e-3, 'impl': 'moments'}
    repeated = torch.cat([keys, keys[:15]])
    torch.testing.assert_close(
        info_nce(query, key, keys, key_weight=twice, **options),
        info_nce(query, key, repeated, **options),
        check_dtype=False,
    )


@pytest.mark.parametrize(('impl', 'least'), [('moments', 0.2), ('clusters', 0.1)])
def test_low_temperatures_are_rejected(impl, least):
    query, key = rows(2, 5, 3, seed=0)
    info_nce(query, key, temperature=least, impl=impl)
    message = f"'temperature' with impl='{impl}' must be at least {least}, got 0.09"
    with pytest.raises(ValueError, match=message):
        info_nce(query, key, temperature=0.09, impl=impl)


@pytest.mark.parametrize('impl', IMPLS)
@pytest.mark.parametrize('temperature', [0.3, 1.0])
@pytest.mark.parametrize('weighted', [False, True])
def test_the_estimate_is_the_error(weighted, temperature, impl):
    query, keys = rows(2, 900, 8, seed=0) + rows(8, seed=1)
    options: dict[str, Any] = {'temperature': temperature}
    if weighted:
        options['key_weight'] = rows(900, seed=2).abs()
    torch.manual_seed(0)
    everything = approximation_error(query, keys, impl=impl, num_samples=900, **options)

    # A positive at a right angle to its query leaves only the denominator.
    unit = query / query.norm(dim=1, keepdim=True)
    right = rows(900, 8, seed=3)
    right = right - (right * unit).sum(dim=1, keepdim=True) * unit

    def of_denominators(impl: str) -> tuple[Tensor, Tensor]:
        x, y = query.clone().requires_grad_(), keys.clone().requires_grad_()
        torch.manual_seed(0)
        loss = info_nce(x, right, y, impl=impl, reduction='none', **options)
        return loss.detach(), torch.autograd.grad(loss.sum(), y)[0]

    exact, close = of_denominators('eager'), of_denominators(impl)
    loss = (close[0] - exact[0]).square().mean().sqrt()
    torch.testing.assert_close(everything.loss, loss, rtol=1e-3, atol=1e-7)
    by_key = (close[1] - exact[1]).norm() / exact[1].norm()
    assert 0.3 < everything.key_gradient / by_key < 3
    some = approximation_error(
        query,
        keys,
        impl=impl,
        num_samples=200,
        generator=torch.Generator().manual_seed(0),
        **options,
    )
    for part, whole in zip(some, everything, strict=True):
        assert 0.5 < part / whole < 2
    lower = approximation_error(query, keys, impl=impl, temperature=0.2)
    assert everything.loss < lower.loss


def test_it_works_in_inference_mode_and_under_autocast():
    query, keys = rows(2, 50, 8, seed=0)
    expected = approximation_error(query, keys)
    for context in (
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast('cpu', dtype=torch.bfloat16),
    ):
        with context:
            torch.testing.assert_close(approximation_error(query, keys), expected)


def test_wrong_arguments():
    query, keys = rows(2, 5, 3, seed=0)
    for change, message in (
        ({'keys': rows(5, 4, seed=0)}, "'keys' must be as wide as 'query', 3, got 4"),
        ({'impl': 'chunked'}, "'impl' must be one of 'moments', 'clusters'"),
        ({'temperature': 0.0}, "'temperature' must be at least 1e-30"),
        ({'num_samples': 0}, "'num_samples' must be an integer of at least 1"),
        ({'key_weight': torch.ones(4)}, "'key_weight' must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            approximation_error(**{'query': query, 'keys': keys, **change})


def test_vectors_of_width_one():
    """An additional column of zeros changes nothing."""
    query, keys = rows(6, 1, seed=0), rows(9, 1, seed=1)
    wide = [torch.cat([x, torch.zeros_like(x)], dim=1) for x in (query, keys)]
    expected = approximation_error(*wide)
    torch.testing.assert_close(approximation_error(query, keys), expected)


def test_rows_are_sampled_if_there_are_more():
    query, keys = rows(2, 40, 3, seed=0)

    def estimate(num_samples: int, seed: int) -> Any:
        generator = torch.Generator().manual_seed(seed)
        options: dict[str, Any] = {'num_samples': num_samples, 'generator': generator}
        return approximation_error(query, keys, **options)

    assert estimate(5, 0) == estimate(5, 0) != estimate(5, 1)
    assert estimate(40, 0) == estimate(40, 1)


@pytest.mark.parametrize('impl', IMPLS)
def test_small_key_weights_are_exact(impl):
    """A factor on all weights adds its logarithm."""
    query, key = rows(2, 300, 8, seed=0)
    weight = torch.ones(300, dtype=torch.float64)
    options: dict[str, Any] = {'temperature': 0.5, 'impl': impl, 'reduction': 'none'}

    def loss(factor: float) -> Tensor:
        torch.manual_seed(0)
        return info_nce(query, key, key_weight=factor * weight, **options)

    torch.testing.assert_close(loss(0.125), loss(1.0) + math.log(0.125))
