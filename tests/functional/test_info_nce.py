from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from pyg_irllrec.functional import info_nce
from pyg_irllrec.functional._kernels import _load_triton
from tests.kernel_counts import count_kernels


def rows(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype
    )


def by_hand(
    query: Tensor, key: Tensor, keys: Tensor, temperature: float
) -> list[float]:
    def unit(row: Tensor) -> list[float]:
        norm = math.sqrt(1e-8 + sum(value * value for value in row.tolist()))
        return [value / norm for value in row.tolist()]

    def logit(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True)) / temperature

    losses = []
    for q, k in zip(query, key, strict=True):
        total = sum(math.exp(logit(unit(q), unit(c))) for c in keys)
        losses.append(math.log(total) - logit(unit(q), unit(k)))
    return losses


@given(
    num_rows=st.integers(1, 7),
    num_keys=st.integers(1, 7),
    dim=st.sampled_from([1, 2, 3, 17, 257]),
    temperature=st.sampled_from([0.05, 0.2, 1.0, 10.0]),
)
@settings(max_examples=25, deadline=None)
def test_equals_the_formula(num_rows, num_keys, dim, temperature):
    query, key = rows(num_rows, dim), rows(num_rows, dim, seed=1)
    keys = rows(num_keys, dim, seed=2)
    loss = info_nce(query, key, keys, temperature=temperature, reduction='none')
    expected = torch.tensor(by_hand(query, key, keys, temperature), dtype=torch.float64)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)


def test_without_keys_the_batch_is_contrasted():
    query, key = rows(6, 3), rows(6, 3, seed=1)
    assert torch.equal(info_nce(query, key), info_nce(query, key, key))


def test_reductions():
    query, key = rows(6, 3), rows(6, 3, seed=1)
    loss = info_nce(query, key, reduction='none')
    assert loss.shape == (6,)
    torch.testing.assert_close(info_nce(query, key, reduction='sum'), loss.sum())
    torch.testing.assert_close(info_nce(query, key), loss.mean())


def test_weights_of_rows_and_keys():
    query, key = rows(4, 3), rows(4, 3, seed=1)
    mask = torch.tensor([1.0, 0.0, 1.0, 1.0])
    loss = info_nce(query, key, weight=mask, key_weight=mask)
    kept = mask.bool()
    torch.testing.assert_close(loss, info_nce(query[kept], key[kept]))
    twice = info_nce(query, key, key_weight=torch.full((4,), 2.0))
    torch.testing.assert_close(twice, info_nce(query, key) + math.log(2))


def test_eps_bounds_the_loss():
    query = torch.eye(3, dtype=torch.float64)
    loss = info_nce(query, -query, query, temperature=0.01, eps=1e-8)
    torch.testing.assert_close(loss.item(), -math.log(1e-8))
    p = torch.exp(-info_nce(query, query, reduction='none'))
    loss = info_nce(query, query, eps=0.3, reduction='none')
    torch.testing.assert_close(loss, -torch.log(p + 0.3))


def test_identical_rows_give_the_log_of_their_number():
    x = torch.ones(5, 3)
    torch.testing.assert_close(info_nce(x, x).item(), math.log(5))


@pytest.mark.parametrize('temperature', [0.01, 0.1, 1.0, 10.0])
def test_no_overflow_in_float32(temperature):
    query, key = (
        rows(50, 8, dtype=torch.float32),
        rows(50, 8, seed=1, dtype=torch.float32),
    )
    query.requires_grad_()
    loss = info_nce(query, key, temperature=temperature)
    loss.backward()
    expected = info_nce(query.double(), key.double(), temperature=temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    assert query.grad.isfinite().all()


def test_gradients():
    inputs = [rows(5, 3), rows(5, 3, seed=1), rows(4, 3, seed=2)]
    for value in inputs:
        value.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda q, k, c: info_nce(q, k, c, temperature=0.2, eps=1e-3), inputs
    )


def test_zero_rows_are_finite():
    query = torch.zeros(3, 4, requires_grad=True)
    info_nce(query, torch.randn(3, 4), temperature=0.2).backward()
    assert query.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    query, key = (
        rows(64, 8, dtype=torch.bfloat16),
        rows(64, 8, seed=1, dtype=torch.bfloat16),
    )
    loss = info_nce(query, key, temperature=0.01)
    assert loss.dtype == torch.float32
    expected = info_nce(query.double(), key.double(), temperature=0.01)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=1e-4)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = info_nce(query.float(), key.float(), temperature=0.01)
    torch.testing.assert_close(inside, loss)


def test_compiles_without_graph_breaks():
    query, key = rows(6, 3), rows(6, 3, seed=1)
    compiled = torch.compile(info_nce, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(query, key), info_nce(query, key))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'query': torch.randn(3)}, "'query' must be a matrix"),
        (
            {'query': torch.randn(0, 4)},
            "'query' must be a matrix with at least one row",
        ),
        ({'query': torch.ones(3, 4).long()}, "'query' must hold floating-point"),
        ({'key': torch.randn(2, 4)}, "'key' must have the shape of 'query'"),
        ({'keys': torch.randn(3, 5)}, "'keys' must be as wide as 'query', 4, got 5"),
        ({'keys': torch.randn(0, 4)}, "'keys' must be a matrix with at least one row"),
        ({'weight': torch.ones(4)}, r"'weight' must have shape \(3,\)"),
        ({'query': torch.ones(3, 0), 'key': torch.ones(3, 0)}, 'at least one column'),
        ({'weight': [1.0] * 3}, "'weight' must be a tensor, got list"),
        ({'key_weight': torch.ones(4)}, r"'key_weight' must have shape \(3,\)"),
        ({'temperature': 0.0}, "'temperature' must be at least 1e-30, got 0.0"),
        ({'temperature': float('nan')}, "'temperature' must be at least 1e-30"),
        ({'temperature': 1e-300}, "'temperature' must be at least 1e-30, got 1e-300"),
        ({'weight': torch.zeros(3)}, "'weight' must be finite, at least 0, and not"),
        ({'key_weight': torch.zeros(3)}, "'key_weight' must be .* from 0.0 to 0.0"),
        ({'weight': torch.tensor([1.0, -1, 1])}, "'weight' must be .* from -1.0"),
        ({'key_weight': torch.full((3,), float('nan'))}, "'key_weight' must be finite"),
        ({'weight': torch.full((3,), math.inf)}, "'weight' must be finite"),
        ({'eps': -1.0}, "'eps' must be at least 0"),
        ({'reduction': 'max'}, "'reduction' must be one of 'none', 'mean', 'sum'"),
        ({'impl': 'fast'}, "'impl' must be one of 'auto', 'eager'"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {'query': torch.randn(3, 4), 'key': torch.randn(3, 4), **change}
    with pytest.raises(ValueError, match=message):
        info_nce(**arguments)


@pytest.mark.parametrize('impl', ['eager', 'chunked', 'moments', 'clusters'])
def test_half_precision_weights_are_summed_in_full(impl):
    query, key = torch.randn(2, 66_000, 2)

    def loss(weight):
        torch.manual_seed(0)  # Clusters are random.
        return info_nce(query, key, key[:9], weight=weight, impl=impl)

    expected = loss(torch.ones(66_000))
    for dtype in (torch.half, torch.bfloat16):
        torch.testing.assert_close(loss(torch.ones(66_000, dtype=dtype)), expected)


EVERY = ['eager', 'chunked', 'torch', 'moments', 'clusters']


@pytest.mark.parametrize('impl', EVERY)
@pytest.mark.parametrize('name', ['weight', 'key_weight'])
def test_weights_whose_sum_overflows(impl, name):
    if impl == 'torch' and not hasattr(F, 'linear_cross_entropy'):
        pytest.skip('needs torch 2.13')
    query, key = torch.randn(2, 40, 3).requires_grad_()
    weight = torch.rand(40) + 0.1
    found = []
    for size in 1.0, 1e38:
        torch.manual_seed(0)  # Clusters are random.
        loss = info_nce(query, key, impl=impl, **{name: size * weight})
        log = math.log(size) if name == 'key_weight' else 0.0
        found.append((loss - log, *torch.autograd.grad(loss, (query, key))))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('impl', EVERY)
def test_boolean_weights_of_keys(impl):
    if impl == 'torch' and not hasattr(F, 'linear_cross_entropy'):
        pytest.skip('needs torch 2.13')
    query, key = torch.randn(2, 9, 3)
    loss = []
    for weight in torch.arange(9) > 2, (torch.arange(9) > 2).float():
        torch.manual_seed(0)
        loss.append(info_nce(query, key, key_weight=weight, impl=impl))
    torch.testing.assert_close(*loss)


@pytest.mark.parametrize('impl', ['eager', 'chunked', 'torch'])
def test_eps_without_the_positive_among_the_keys(impl):
    if impl == 'torch' and not hasattr(F, 'linear_cross_entropy'):
        pytest.skip('needs torch 2.13')
    query = torch.tensor([[1.0, 0.0]], requires_grad=True)
    keys = torch.tensor([[0.0, 1.0], [-1.0, 0.1]])
    options = {'temperature': 0.01, 'eps': 1e-8}
    loss = info_nce(query, query.detach(), keys, **options, impl=impl)
    (grad,) = torch.autograd.grad(loss, query)
    wide = query.detach().double().requires_grad_()
    right = info_nce(wide, wide.detach(), keys.double(), **options, impl='eager')
    torch.testing.assert_close(loss.double(), right, rtol=1e-4, atol=1e-4)
    (expected,) = torch.autograd.grad(right, wide)
    torch.testing.assert_close(grad.double(), expected, rtol=1e-3, atol=1e-3)


def test_key_weights_keep_the_precision_of_rows():
    query, key = torch.randn(2, 5, 3, dtype=torch.float64)
    weight = torch.rand(5) + 0.1
    exact = info_nce(query, key, key_weight=weight.double(), impl='eager')
    loss = info_nce(query, key, key_weight=weight, impl='eager')
    torch.testing.assert_close(loss, exact, rtol=1e-14, atol=0)


class Operators(TorchDispatchMode):
    r"""Record the names of all operators that are called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def triton_calls(monkeypatch, has_triton=True, dtype=torch.float32, dim=8, **options):
    r"""The operators of a call on a CUDA device that does not exist."""
    monkeypatch.setattr(_load_triton, '_find', lambda: has_triton)
    device = options.pop('device', 'cuda')
    with FakeTensorMode(), Operators() as operators, torch.no_grad():
        query, key = torch.empty(2, 300, dim, dtype=dtype, device=device)
        loss = info_nce(query, key, **options)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    return operators.names.count('pyg_irllrec.info_nce_triton.default')


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_auto_uses_the_kernel_if_available(monkeypatch, dtype):
    assert triton_calls(monkeypatch, dtype=dtype) == 1
    assert triton_calls(monkeypatch, dtype=dtype, dim=256) == 1
    assert triton_calls(monkeypatch, dtype=dtype, dim=257) == 0
    assert triton_calls(monkeypatch, dtype=dtype, device='cpu') == 0
    assert triton_calls(monkeypatch, dtype=dtype, impl='chunked') == 0
    assert triton_calls(monkeypatch, dtype=dtype, has_triton=False) == 0


def test_auto_avoids_the_kernel_for_unsupported_input(monkeypatch):
    assert triton_calls(monkeypatch, dtype=torch.float64) == 0
    assert triton_calls(monkeypatch, temperature=1e-4) == 0


@pytest.mark.parametrize(
    ('options', 'least', 'most'),
    # One more for the gradient of the loss, and one more for half of a mean on a CPU.
    [({}, 8, 10), ({'eps': 1e-8}, 8, 10), ({'symmetric': True}, 9, 11)],
)
def test_few_kernels_are_launched(options, least, most):
    query, key = rows(300, 8), rows(300, 8, seed=1)
    inputs = query.float().requires_grad_(), key.float().requires_grad_()
    counts = count_kernels(
        lambda: torch.autograd.grad(info_nce(*inputs, **options), inputs)
    )
    assert counts['unit_kernel'] == 1
    assert least <= counts.total() <= most


@pytest.mark.parametrize(('temperature', 'calls'), [(1.0, 1), (1 / 32, 1), (0.03, 2)])
def test_one_kernel_for_both_directions(monkeypatch, temperature, calls):
    options = {'temperature': temperature, 'symmetric': True}
    assert triton_calls(monkeypatch, **options) == calls
