"""Needs a CUDA device, or TRITON_INTERPRET=1 before Triton is imported."""

from __future__ import annotations

import os
import sys

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional._kernels import info_nce_triton as file
from pyg_irllrec.functional._kernels.info_nce_eager import info_nce_eager
from pyg_irllrec.functional._kernels.info_nce_triton import info_nce_triton

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
DEVICE = 'cpu' if INTERPRETED else 'cuda'
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip('neither CUDA nor TRITON_INTERPRET=1', allow_module_level=True)
pytest.importorskip('triton')


# Weights, temperature, eps and reduction.
PLAIN = None, None, 0.2, 0.0, 'none'


def rows(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(DEVICE)


def weights(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(size, generator=generator) + 0.1).to(DEVICE)


def assert_near(actual: Tensor, expected: Tensor, floor: float) -> None:
    assert actual.shape == expected.shape
    error = (actual.double() - expected.double()).norm()
    assert error <= 1e-5 * expected.double().norm() + floor


def values_and_grads(kernel, matrices, *rest, dtype=torch.float32):
    r"""The values and gradients, with upstream gradients of both signs."""
    inputs = [
        None if x is None else x.detach().to(dtype, copy=True).requires_grad_()
        for x in matrices
    ]
    loss = kernel(*inputs, *rest)
    upstream = torch.linspace(-0.5, 1.5, loss.numel(), device=DEVICE).view(loss.shape)
    leaves = [x for x in inputs if x is not None]
    return loss, *torch.autograd.grad((loss * upstream).sum(), leaves)


def symmetric_eager(query, key, keys, *rest):
    there = info_nce_eager(query, key, keys, *rest)
    return (there + info_nce_eager(key, query, keys, *rest)) / 2


def compare(matrices, *options):
    r"""Compare with eager. Unit rows are rounded once more than in float32."""
    *rest, symmetric = options if len(options) == 6 else (*options, False)
    eager = symmetric_eager if symmetric else info_nce_eager
    actual = values_and_grads(info_nce_triton, matrices, *rest, symmetric)
    expected = values_and_grads(eager, matrices, *rest, dtype=torch.float64)
    # Values far below the size of a logit or of its gradient are rounding errors.
    temperature, reduction = rest[2], rest[4]
    size = 1 / temperature / (len(matrices[0]) if reduction == 'mean' else 1)
    sizes = (size, *(size / x.norm(dim=1) for x in matrices if x is not None))
    for a, b, size in zip(actual, expected, sizes, strict=True):
        assert_near(a, b, floor=2e-6 * torch.as_tensor(size).norm())


@pytest.mark.parametrize(
    ('num_rows', 'num_keys', 'dim', 'temperature'),
    [
        (1, 1, 1, 0.01),
        (1, 131, 3, 0.05),
        (131, 1, 17, 0.2),
        (131, 1, 1, 0.01),
        (67, 131, 32, 0.01),
        (67, 131, 64, 1.0),
        (131, 67, 100, 0.05),
        (71, None, 3, 10.0),
        (71, None, 17, 0.01),
        (131, None, 64, 0.2),
        (67, 83, 129, 0.1),
        (67, 83, 256, 0.05),
    ],
)
def test_info_nce_equals_eager(num_rows, num_keys, dim, temperature):
    query, key = rows(num_rows, dim), rows(num_rows, dim, seed=1)
    keys = None if num_keys is None else rows(num_keys, dim, seed=2)
    compare((query, key, keys), None, None, temperature, 0.0, 'none')


@pytest.mark.parametrize(
    ('reduction', 'eps', 'temperature', 'has_keys', 'weighted'),
    [
        ('none', 0.0, 0.05, True, 'rows'),
        ('none', 1e-3, 1.0, False, 'both'),
        ('mean', 0.0, 1.0, True, 'keys'),
        ('mean', 1e-3, 0.02, True, 'both'),
        ('mean', 1e-3, 1.0, False, 'rows'),
        ('sum', 0.0, 0.02, False, 'both'),
        ('sum', 1e-3, 0.05, False, 'keys'),
        ('sum', 0.0, 0.05, True, 'rows'),
    ],
)
@pytest.mark.parametrize('symmetric', [False, True])
def test_info_nce_options(reduction, eps, temperature, has_keys, weighted, symmetric):
    has_keys = has_keys and not symmetric
    query = rows(37, 17)
    key = query + rows(37, 17, seed=1)
    keys = rows(53, 17, seed=2) if has_keys else None
    weight = weights(37) if weighted != 'keys' else None
    key_weight = weights(53 if has_keys else 37) if weighted != 'rows' else None
    rest = weight, key_weight, max(temperature, 0.05) if symmetric else temperature
    compare((query, key, keys), *rest, eps, reduction, symmetric)


@pytest.mark.parametrize('temperature', [0.01, 1.0])
def test_keys_of_weight_zero(temperature):
    query, key, keys = rows(5, 8), rows(5, 8, seed=1), rows(300, 8, seed=2)
    key_weight = torch.zeros(300, device=DEVICE)
    key_weight[137] = 2.0
    compare((query, key, keys), None, key_weight, temperature, 0.0, 'none')


def test_large_equal_logits_are_exact():
    query = rows(5, 8)
    loss = info_nce_triton(
        query, query, query[:1].expand(150, 8), None, None, 0.01, 0.0, 'none'
    )
    expected = torch.log(torch.tensor(150.0, device=DEVICE))
    torch.testing.assert_close(loss[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('temperature', [0.01, 1.0])
def test_zero_rows_are_finite(temperature):
    query = torch.zeros(3, 4, device=DEVICE)
    loss, *grads = values_and_grads(
        info_nce_triton, (query, query, None), None, None, temperature, 0.0, 'none'
    )
    expected = torch.log(torch.tensor(3.0, device=DEVICE))
    torch.testing.assert_close(loss, expected.expand(3), rtol=1e-5, atol=1e-5)
    assert all(grad.isfinite().all() for grad in grads)


def test_strided_inputs():
    query, key, keys = (rows(9, size, seed=size).t() for size in (40, 40, 50))
    weight, key_weight = weights(80)[::2], weights(100).double()[::2]
    compare((query, key, keys), weight, key_weight, 0.2, 0.0, 'sum')


@pytest.mark.parametrize('size', [1e-30, 1e30])
@pytest.mark.parametrize('symmetric', [False, True])
def test_weights_of_any_size(symmetric, size):
    query = rows(40, 8)
    key = 0.01 * rows(40, 8, seed=1) - query  # Far from its query.
    rest = weights(40) * size, weights(40) * size, 1 / 31, 0.0, 'mean'
    compare((query, key, None), *rest, symmetric)


@pytest.mark.parametrize(
    ('num_rows', 'num_keys', 'symmetric'),
    [(700, 5, False), (5, 700, False), (131, None, True)],
)
def test_nothing_is_read_out_of_bounds(num_rows, num_keys, symmetric):
    if not INTERPRETED:
        pytest.skip('only the interpreter can be watched')
    from tests.functional._kernels.bounds import within_bounds

    keys = None if num_keys is None else rows(num_keys, 8)
    matrices = rows(num_rows, 8), rows(num_rows, 8, seed=1), keys
    rest = None, weights(num_keys or num_rows), 0.2, 1e-3, 'mean', symmetric
    with within_bounds():
        values_and_grads(info_nce_triton, matrices, *rest)


@pytest.mark.parametrize('precision', ['high', 'medium'])
def test_tf32_if_torch_allows_it(precision):
    matrices = rows(40, 8), rows(40, 8, seed=1), None
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        quick = values_and_grads(info_nce_triton, matrices, *PLAIN)
    finally:
        torch.set_float32_matmul_precision(before)
    exact = values_and_grads(info_nce_eager, matrices, *PLAIN, dtype=torch.float64)
    for a, b in zip(quick, exact, strict=True):
        error = (a - b).norm() / b.norm()
        assert 1e-5 < error < 2e-3


def test_a_gradient_has_the_precision_of_its_loss():
    query = rows(40, 8).requires_grad_()
    before = torch.get_float32_matmul_precision()
    loss = info_nce_triton(query, rows(40, 8, seed=1), None, *PLAIN)
    torch.set_float32_matmul_precision('high')
    try:
        (grad,) = torch.autograd.grad(loss.sum(), query, retain_graph=True)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(grad, *torch.autograd.grad(loss.sum(), query))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_read_directly(dtype):
    query, key = (rows(40, 8, seed=seed).to(dtype) for seed in (0, 1))
    matrices = query.requires_grad_(), key, None
    loss = info_nce_triton(*matrices, *PLAIN)
    (grad,) = torch.autograd.grad(loss.sum(), query)
    wide = query.detach().double().requires_grad_()
    expected = info_nce_eager(wide, key.double(), None, *PLAIN)
    (expected_grad,) = torch.autograd.grad(expected.sum(), wide)
    assert loss.dtype == torch.float32 and grad.dtype == dtype
    assert (loss - expected).norm() < 1e-3 * expected.norm()
    step = torch.finfo(dtype).eps
    assert (grad - expected_grad).norm() < (step + 1e-3) * expected_grad.norm()


def test_weights_have_gradients():
    weight, matrices = weights(40), (rows(40, 8), rows(40, 8, seed=1), None)
    grads = []
    for kernel in (info_nce_triton, info_nce_eager):
        weight.grad = None
        loss = kernel(*matrices, weight.requires_grad_(), None, 0.2, 1e-3, 'mean')
        grads.append(torch.autograd.grad(loss, weight)[0])
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_a_temperature_that_is_too_low_is_rejected():
    x = rows(3, 4)
    with pytest.raises(
        ValueError,
        match=r"'temperature' must be at least 0\.001 with impl='triton', got",
    ):
        info_nce_triton(x, x, None, None, None, 5e-4, 0.0, 'mean')


@pytest.mark.parametrize('learned', [0, 1, 2])
def test_only_required_gradients_are_computed(learned):
    matrices = [rows(7, 5, seed=seed) for seed in range(3)]
    full = values_and_grads(info_nce_triton, matrices, None, None, 0.2, 0.0, 'sum')
    matrices[learned].requires_grad_()
    info_nce_triton(*matrices, None, None, 0.2, 0.0, 'sum').backward()
    for index, x in enumerate(matrices):
        assert (x.grad is None) == (index != learned)
    scale = -0.5  # The first value of the upstream gradient.
    torch.testing.assert_close(matrices[learned].grad * scale, full[1 + learned])


def test_every_run_gives_the_same_result():
    matrices = rows(130, 32), rows(130, 32, seed=1), rows(150, 32, seed=2)
    first, second = (
        values_and_grads(info_nce_triton, matrices, None, None, 0.1, 0.0, 'mean')
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize('reduction', ['none', 'mean'])
@pytest.mark.parametrize('has_keys', [True, False])
def test_operators_are_sound(has_keys, reduction):
    query, key = rows(5, 4).requires_grad_(), rows(5, 4, seed=1).requires_grad_()
    keys = rows(7, 4, seed=2).requires_grad_() if has_keys else None
    weight = weights(5) if reduction == 'mean' else None
    inputs = query, key, keys, weight, weights(7 if has_keys else 5)
    options = 0.2, 1e-3, reduction, not has_keys
    torch.library.opcheck(file._forward, (*inputs, *options))
    inputs = [None if x is None else x.detach() for x in inputs]
    loss, _, *saved = file._forward(*inputs, *options)
    for needed in ((True, True, True), (False, True, False), (True, False, True)):
        torch.library.opcheck(file._grads, (loss, *inputs, *saved, *options, needed))


def test_compiles_without_graph_breaks():
    matrices = rows(6, 3), rows(6, 3, seed=1), rows(9, 3, seed=2)
    compiled = torch.compile(info_nce_triton, fullgraph=True, backend='aot_eager')
    rest = None, weights(9), 0.2, 1e-3, 'mean'
    actual = values_and_grads(compiled, matrices, *rest)
    expected = values_and_grads(info_nce_triton, matrices, *rest)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_second_derivatives_are_rejected():
    query = rows(3, 4).requires_grad_()
    loss = info_nce_triton(query, rows(3, 4), None, None, None, 0.2, 0.0, 'mean')
    with pytest.raises(RuntimeError, match="impl='triton' has first derivatives only"):
        torch.autograd.grad(loss, query, create_graph=True)


@pytest.mark.parametrize(
    ('query', 'message'),
    [
        (torch.randn(3, 257), "impl='triton' needs rows of at most 256 values, got"),
        (
            torch.randn(3, 4).double(),
            "impl='triton' needs torch.float32, torch.float16 or torch",
        ),
    ],
)
def test_unsupported_input(query, message):
    query = query.to(DEVICE)
    with pytest.raises(ValueError, match=message):
        info_nce_triton(query, query, None, None, None, 0.2, 0.0, 'mean')


def test_a_cpu_tensor_is_rejected(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    x = torch.randn(3, 4)
    with pytest.raises(ValueError, match="impl='triton' needs a CUDA tensor"):
        info_nce_triton(x, x, None, None, None, 0.2, 0.0, 'mean')


def test_without_triton_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'triton', None)
    x = rows(3, 4)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[triton\]'"):
        info_nce_triton(x, x, None, None, None, 0.2, 0.0, 'mean')
