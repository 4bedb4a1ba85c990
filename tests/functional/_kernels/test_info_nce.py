from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyg_irllrec.functional import info_nce
from pyg_irllrec.functional._kernels import info_nce_chunked, info_nce_symmetric
from pyg_irllrec.functional.info_nce import IMPLEMENTATIONS
from tests.functional._kernels.allocations import LargestTensor

EXACT = ['chunked', 'torch'] if hasattr(F, 'linear_cross_entropy') else ['chunked']
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def rows(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def assert_same_as_eager(impl: str, inputs: dict[str, Any], **options: Any) -> None:
    """Compare the values and the norms of all gradients."""
    outcome = {}
    for name in ('eager', impl):
        leaves = {
            key: value.clone().requires_grad_()
            for key, value in inputs.items()
            if value is not None and key != 'key_weight'
        }
        loss = info_nce(**{**inputs, **leaves}, **options, impl=name)
        upstream = torch.linspace(0.5, 1.5, loss.numel()).to(loss).view_as(loss)
        grads = torch.autograd.grad(loss, list(leaves.values()), upstream)
        outcome[name] = [loss.detach(), *grads]
    # If a positive has all the probability, or rows cannot turn, gradients cancel, and
    # only rounding of terms of this size is left.
    floor = 0.1 / options['temperature']
    for value, expected in zip(outcome[impl], outcome['eager'], strict=True):
        gap = (value - expected).norm() / expected.norm().clamp(min=floor)
        assert gap <= TOLERANCE[value.dtype], float(gap)


@pytest.fixture(params=['one block', 'blocks of 3 rows in 2 streams'])
def blocks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != 'one block':
        for module in (info_nce_chunked, info_nce_symmetric):
            monkeypatch.setattr(module, 'blocks', lambda rows, *_: (min(2, rows), 3))


@pytest.mark.usefixtures('blocks')
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
@pytest.mark.parametrize('eps', [0.0, 1e-2])
@pytest.mark.parametrize('impl', EXACT)
def test_equals_eager(impl, eps, reduction, dtype):
    for weighted in (False, True):
        for num_keys in (None, 7):
            inputs = {
                'query': rows(11, 5, seed=0, dtype=dtype),
                'key': rows(11, 5, seed=1, dtype=dtype),
                'keys': num_keys and rows(num_keys, 5, seed=2, dtype=dtype),
            }
            if weighted:
                inputs['weight'] = rows(11, seed=3, dtype=dtype).abs()
                inputs['key_weight'] = rows(num_keys or 11, seed=4, dtype=dtype).abs()
            assert_same_as_eager(
                impl, inputs, temperature=0.2, eps=eps, reduction=reduction
            )


@given(
    num_rows=st.integers(1, 41),
    num_keys=st.one_of(st.none(), st.integers(1, 41)),
    dim=st.integers(1, 257),
    temperature=st.sampled_from([0.01, 0.03, 0.2, 1.0, 10.0]),
    streams=st.integers(1, 3),
    height=st.integers(1, 9),
    dtype=st.sampled_from(list(TOLERANCE)),
    impl=st.sampled_from(EXACT),
)
@example(1, 1, 1, 1.0, 1, 1, torch.float32, 'chunked')
@example(1, None, 257, 0.01, 3, 1, torch.float32, 'chunked')
@example(37, 41, 13, 0.01, 2, 7, torch.float32, 'chunked')
@settings(max_examples=60, deadline=None)
def test_equals_eager_at_random_shapes(
    num_rows, num_keys, dim, temperature, streams, height, dtype, impl
):
    inputs = {
        'query': rows(num_rows, dim, seed=0, dtype=dtype),
        'key': rows(num_rows, dim, seed=1, dtype=dtype),
        'keys': num_keys and rows(num_keys, dim, seed=2, dtype=dtype),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            info_nce_chunked, 'blocks', lambda n, *_: (min(streams, n), height)
        )
        assert_same_as_eager(impl, inputs, temperature=temperature)


@pytest.mark.usefixtures('blocks')
@pytest.mark.parametrize('dtype', TOLERANCE)
@pytest.mark.parametrize('temperature', [0.01, 0.2, 10.0])
@pytest.mark.parametrize('impl', EXACT)
def test_symmetric_equals_eager(impl, temperature, dtype):
    inputs = {
        'query': rows(11, 5, seed=0, dtype=dtype),
        'key': rows(11, 5, seed=1, dtype=dtype),
    }
    weights = {
        'weight': rows(11, seed=3, dtype=dtype).abs(),
        'key_weight': rows(11, seed=4, dtype=dtype).abs(),
    }
    for more in ({}, weights):
        for reduction in ('none', 'mean', 'sum'):
            for eps in (0.0, 1e-2):
                assert_same_as_eager(
                    impl,
                    inputs | more,
                    temperature=temperature,
                    reduction=reduction,
                    eps=eps,
                    symmetric=True,
                )


def test_symmetric_is_the_mean_of_both_directions():
    query, key = rows(6, 3, seed=0), rows(6, 3, seed=1)
    both = (info_nce(query, key) + info_nce(key, query)) / 2
    for impl in ('eager', *EXACT):
        torch.testing.assert_close(
            info_nce(query, key, symmetric=True, impl=impl), both
        )
    with pytest.raises(ValueError, match="'keys' must be None if 'symmetric'"):
        info_nce(query, key, key, symmetric=True)


@pytest.mark.parametrize('eps', [0.0, 1e-2])
@pytest.mark.parametrize('num_keys', [None, 7])
@pytest.mark.parametrize('impl', EXACT)
def test_keys_of_weight_zero(impl, num_keys, eps):
    mask = torch.ones(num_keys or 11, dtype=torch.float64)
    mask[[0, 3]] = 0
    inputs = {
        'query': rows(11, 5, seed=0),
        'key': rows(11, 5, seed=1),
        'keys': num_keys and rows(num_keys, 5, seed=2),
        'key_weight': mask,
    }
    if num_keys is None:
        inputs['weight'] = mask
    for reduction in ('none', 'mean'):
        assert_same_as_eager(
            impl, inputs, temperature=0.2, eps=eps, reduction=reduction
        )


@pytest.mark.parametrize('num_keys', [None, 13])
@pytest.mark.parametrize('learned', [False, True])
def test_rows_of_weight_zero_are_dropped_on_a_cpu(num_keys, learned, monkeypatch):
    sizes = []

    def blocks(num_rows: int, num_keys: int, *_: object) -> tuple[int, int]:
        sizes.append((num_rows, num_keys))
        return 1, num_rows

    monkeypatch.setattr(info_nce_chunked, 'blocks', blocks)
    mask = torch.ones(11, dtype=torch.float64)
    mask[[0, 3, 4]] = 0
    key_mask = mask if num_keys is None else torch.cat([mask, mask[:2]])
    inputs = [rows(num, 5, seed=num) for num in (11, 11, num_keys or 0)]
    info_nce(
        *inputs[: 2 if num_keys is None else 3],
        weight=mask.clone().requires_grad_(learned),
        key_weight=key_mask,
        impl='chunked',
    )
    # A learned weight has a gradient at zero too.
    assert set(sizes) == {(11 if learned else 8, 8 if num_keys is None else 9)}


@pytest.mark.parametrize('temperature', [0.01, 1 / 40, 1.0])
@pytest.mark.parametrize('scale', [1e-30, 1e30])
@pytest.mark.parametrize('symmetric', [False, True])
def test_key_weights_of_any_scale(symmetric, scale, temperature):
    inputs = {
        'query': rows(11, 5, seed=0, dtype=torch.float32),
        'key': rows(11, 5, seed=1, dtype=torch.float32),
        'key_weight': rows(11, seed=2, dtype=torch.float32).abs() * scale,
    }
    options = {'temperature': temperature, 'symmetric': symmetric}
    assert_same_as_eager('chunked', inputs, **options)


@pytest.mark.parametrize('symmetric', [False, True])
def test_opposite_rows_at_the_lowest_temperature_without_a_shift(symmetric):
    """All logits of a row then have the lowest or the highest possible value."""
    query = rows(1, 8, seed=0, dtype=torch.float32).expand(3000, 8)
    for key in (query, -query):
        loss = info_nce(
            query, key, temperature=1 / 40, impl='chunked', symmetric=symmetric
        )
        assert math.isclose(loss.item(), math.log(3000), rel_tol=1e-5)


@pytest.mark.parametrize('symmetric', [False, True])
@pytest.mark.parametrize('impl', [*EXACT, 'moments'])
def test_any_strides(impl, symmetric):
    query, key = rows(5, 11, seed=0).t(), rows(1, 5, seed=1).expand(11, 5)
    options = {'impl': impl, 'symmetric': symmetric}
    torch.testing.assert_close(
        info_nce(query, key, **options),
        info_nce(query.contiguous(), key.contiguous(), **options),
    )


@pytest.mark.parametrize('reduction', ['mean', 'none'])
def test_backward_inside_autocast(reduction):
    query, key = (rows(64, 8, seed=seed, dtype=torch.float32) for seed in (0, 1))
    grads = []
    for enabled in (False, True):
        leaf = query.clone().requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            info_nce(leaf, key, impl='chunked', reduction=reduction).sum().backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('impl', ['chunked', 'torch', 'moments'])
def test_only_required_gradients_are_computed(impl):
    if impl == 'torch' and impl not in EXACT:
        pytest.skip('torch has no linear_cross_entropy')
    query, key = rows(6, 3, seed=0), rows(6, 3, seed=1)
    assert not info_nce(query, key, impl=impl).requires_grad
    query.requires_grad_()
    with torch.no_grad():
        assert not info_nce(query, key, impl=impl).requires_grad
    info_nce(query, key, impl=impl).backward()
    assert query.grad is not None and key.grad is None
    with torch.inference_mode():
        info_nce(query, key, impl=impl)


@pytest.mark.parametrize('reduction', ['mean', 'none'])
def test_the_chunked_form_passes_gradcheck(reduction):
    inputs = [rows(5, 3, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(
        lambda q, k, c: info_nce(
            q, k, c, temperature=0.3, eps=1e-3, reduction=reduction, impl='chunked'
        ),
        inputs,
    )


def test_second_derivatives():
    query, key = rows(6, 3, seed=0).requires_grad_(), rows(6, 3, seed=1)
    for symmetric in (False, True):
        loss = info_nce(query, key, impl='chunked', symmetric=symmetric)
        with pytest.raises(RuntimeError, match="impl='chunked' has first derivatives"):
            torch.autograd.grad(loss, query, create_graph=True)
    with pytest.raises(RuntimeError, match="impl='moments' with a reduction has"):
        loss = info_nce(query, key, impl='moments')
        torch.autograd.grad(loss, query, create_graph=True)
    if 'torch' in EXACT:
        with pytest.raises(RuntimeError, match="impl='torch' has first derivatives"):
            loss = info_nce(query, key, impl='torch')
            torch.autograd.grad(loss, query, create_graph=True)
    for impl in ('eager', 'moments', 'clusters'):

        def rows_of(query: Tensor, impl: str = impl) -> Tensor:
            torch.manual_seed(0)
            return info_nce(query, key, impl=impl, reduction='none')

        assert torch.autograd.gradgradcheck(rows_of, query)


@pytest.mark.usefixtures('fresh_compiler')
@pytest.mark.parametrize('impl', ['chunked', 'moments'])
@pytest.mark.parametrize('symmetric', [False, True])
@pytest.mark.parametrize('reduction', ['mean', 'none'])
def test_compiles_without_graph_breaks(reduction, symmetric, impl):
    query, key = rows(9, 3, seed=0).requires_grad_(), rows(9, 3, seed=1)

    def loss(query: Tensor) -> Tensor:
        return info_nce(
            query, key, impl=impl, symmetric=symmetric, reduction=reduction
        ).sum()

    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    for run in (compiled, loss):
        (grad,) = torch.autograd.grad(run(query), query)
        query.grad = grad if query.grad is None else query.grad - grad
    assert query.grad.abs().max() < 1e-12


@pytest.mark.parametrize('impl', [*EXACT, 'moments'])
def test_half_precision_is_computed_in_float32(impl):
    query, key = (rows(64, 8, seed=seed).bfloat16() for seed in (0, 1))
    loss = info_nce(query, key, impl=impl)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, info_nce(query.float(), key.float(), impl=impl))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = info_nce(query.float(), key.float(), impl=impl)
    torch.testing.assert_close(inside, loss)


def test_blocks_are_small_and_cover_many_keys():
    for num_rows, num_keys in ((1, 1), (5, 10**7), (20_332, 20_332), (10**6, 10**6)):
        for cpu in (True, False):
            streams, height = info_nce_chunked.blocks(num_rows, num_keys, 64, cpu)
            assert 1 <= streams <= num_rows and height >= 1
            assert height * num_keys <= max(2**23 if cpu else 2**26, 16 * num_keys)


@pytest.mark.parametrize('symmetric', [False, True])
def test_no_square_matrix_is_stored(symmetric):
    # Bypass the dispatcher, which hides tensors inside custom operators.
    size, dim = 4000, 4
    query, key = rows(2, size, dim, seed=0, dtype=torch.float32)
    scale = torch.ones(size)
    with LargestTensor() as largest:
        if symmetric:
            from pyg_irllrec.functional._kernels import info_nce_symmetric as file

            file._sum._init_fn(query, key, scale, scale, 1.0, 0.0, True)
        else:
            info_nce_chunked._sum._init_fn(
                query, key, None, scale, None, 1.0, 0.0, True
            )
    assert size * dim <= largest.numel < size**2 / 10


def test_auto_is_exact_and_small_inputs_have_second_derivatives():
    query, key = rows(300, 8, seed=0), rows(300, 8, seed=1)
    assert torch.equal(info_nce(query, key), info_nce(query, key, impl='chunked'))
    query, key = query[:9], key[:9]
    assert torch.equal(info_nce(query, key), info_nce(query, key, impl='eager'))


def test_impl_torch_names_the_version_that_it_needs(monkeypatch):
    monkeypatch.delattr(F, 'linear_cross_entropy', raising=False)
    with pytest.raises(ValueError, match=r"impl='torch' needs torch 2\.13"):
        info_nce(rows(3, 2, seed=0), rows(3, 2, seed=1), impl='torch')


def test_a_temperature_is_a_number():
    with pytest.raises(ValueError, match="'temperature' must be a number"):
        info_nce(rows(3, 2, seed=0), rows(3, 2, seed=1), temperature=torch.ones(()))


def test_the_list_of_implementations():
    with pytest.raises(
        ValueError, match="'auto', " + ', '.join(map(repr, IMPLEMENTATIONS))
    ):
        info_nce(rows(3, 2, seed=0), rows(3, 2, seed=1), impl='fast')


def test_many_rows_in_float32():
    """Blocks of the real size are as exact as the plain formula."""
    inputs = rows(2, 1001, 16, seed=0, dtype=torch.float32)
    for temperature in (0.01, 1 / 40, 0.2):
        outcome = {}
        for impl, dtype in (
            ('chunked', torch.float32),
            ('eager', torch.float32),
            ('exact', torch.float64),
        ):
            x = inputs.to(dtype).requires_grad_()
            kind = 'chunked' if impl == 'chunked' else 'eager'
            loss = info_nce(*x, temperature=temperature, impl=kind)
            outcome[impl] = [loss.detach(), torch.autograd.grad(loss, x)[0]]
        for value, plain, exact in zip(*outcome.values(), strict=True):
            allowed = 1.5 * (plain - exact).norm() + 2e-7 * exact.norm()
            assert (value - exact).norm() <= allowed
