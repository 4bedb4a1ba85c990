from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import softmax_loss
from pyg_irllrec.functional._kernels import softmax_loss_chunked
from pyg_irllrec.utils import UserItems
from tests.functional._kernels.allocations import LargestTensor

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
NUM_USERS, NUM_ITEMS = 30, 17


def embeddings(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (NUM_USERS, 4), (NUM_ITEMS, 4)
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    return [x.to(dtype).requires_grad_() for x in drawn]


def some_pairs() -> Tensor:
    """Pairs of which some are repeated, and a user with all items."""
    generator = torch.Generator().manual_seed(1)
    user = torch.randint(NUM_USERS, (50,), generator=generator)
    item = torch.randint(NUM_ITEMS, (50,), generator=generator)
    everything = torch.stack([torch.full((NUM_ITEMS,), 3), torch.arange(NUM_ITEMS)])
    return torch.cat([torch.stack([user, item])] + [everything] * 2, dim=1)


def some_interactions() -> Tensor:
    """Pairs of the batch, other pairs of its users, and pairs of other users."""
    user, item = some_pairs()[:, ::2]
    user = torch.stack([user, user, (user + 1) % NUM_USERS])
    item = torch.stack([item, (item + 5) % NUM_ITEMS, item])
    return torch.stack([user.flatten(), item.flatten()])


KNOWN = {
    'none': None,
    'batch': 'batch',
    'known': UserItems(some_interactions(), NUM_USERS, NUM_ITEMS),
}


def outcome(inputs: list[Tensor], **options: Any) -> list[Tensor]:
    loss = softmax_loss(*inputs, some_pairs(), **options)
    return [loss.detach(), *torch.autograd.grad(loss * 3, inputs)]


@pytest.fixture(params=['one block', 'blocks of 3 users in 2 streams'])
def blocks(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != 'one block':
        monkeypatch.setattr(
            softmax_loss_chunked, 'blocks', lambda rows, *_: (min(2, rows), 3)
        )


@pytest.mark.usefixtures('blocks')
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('known', KNOWN)
@pytest.mark.parametrize('dtype', TOLERANCE)
def test_equals_eager(dtype, known, normalize, bias):
    inputs = embeddings(dtype)
    options = {
        **{'temperature': 0.3, 'normalize': normalize, 'known': KNOWN[known]},
        'item_bias': torch.linspace(-1, 1, NUM_ITEMS) if bias else None,
    }
    expected = outcome(inputs, **options, impl='eager')
    found = outcome(inputs, **options, impl='chunked')
    for value, other in zip(found, expected, strict=True):
        assert (value - other).norm() <= TOLERANCE[dtype] * other.norm()
    with torch.no_grad():
        loss = softmax_loss(*inputs, some_pairs(), **options, impl='chunked')
    torch.testing.assert_close(loss, expected[0])


@pytest.mark.usefixtures('blocks')
@pytest.mark.parametrize('max_users', [23, 26, 40])
@pytest.mark.parametrize('known', KNOWN)
@pytest.mark.parametrize('impl', ['eager', 'chunked'])
def test_a_fixed_number_of_users_changes_nothing(impl, known, max_users):
    assert_fixed(max_users, known=KNOWN[known], impl=impl)


@pytest.mark.parametrize('max_users', [23, 40])
@pytest.mark.parametrize('known', ['batch', 'known'])
@pytest.mark.parametrize('sample_weight', [None, torch.linspace(1, 2, NUM_ITEMS)])
def test_a_fixed_number_of_users_and_of_draws(sample_weight, known, max_users):
    options = {'known': KNOWN[known], 'sample_weight': sample_weight}
    assert_fixed(max_users, num_samples=30, **options)


def assert_fixed(max_users: int, **options: Any) -> None:
    """A fixed number changes nothing, and nor do repeated pairs of weight 0."""
    inputs = embeddings()
    weight = torch.rand(84, generator=torch.Generator().manual_seed(2)).double()
    results = []
    for fixed in (False, True):
        pairs, counts = some_pairs(), weight
        if fixed:
            pairs = torch.cat([pairs, pairs[:, 3:4].expand(-1, 9)], dim=1)
            counts = torch.cat([weight, weight.new_zeros(9)])
            options['max_users'] = max_users
        options['generator'] = torch.Generator().manual_seed(3)
        loss = softmax_loss(*inputs, pairs, temperature=0.3, weight=counts, **options)
        results.append([loss.detach(), *torch.autograd.grad(loss * 3, inputs)])
    for value, other in zip(*results, strict=True):
        assert (value - other).norm() <= 1e-12 * other.norm()


@pytest.mark.parametrize('impl', ['eager', 'chunked'])
def test_weights_give_a_weighted_mean(impl):
    inputs, pairs = embeddings(), some_pairs()
    count = torch.arange(pairs.size(1)) % 3
    options = {'known': 'batch', 'impl': impl}
    loss = softmax_loss(*inputs, pairs, weight=count, **options)
    weighted = [loss.detach(), *torch.autograd.grad(loss, inputs)]
    # Pairs of weight 0 are left out of the denominators too.
    known = UserItems(pairs, NUM_USERS, NUM_ITEMS)
    repeated = pairs.repeat_interleave(count, dim=1)
    loss = softmax_loss(*inputs, repeated, known=known, impl=impl)
    expected = [loss.detach(), *torch.autograd.grad(loss, inputs)]
    for value, other in zip(weighted, expected, strict=True):
        torch.testing.assert_close(value, other)


@pytest.mark.parametrize('temperature', [1e-3, 1e3])
@pytest.mark.parametrize('known', ['none', 'batch'])
def test_no_temperature_overflows(temperature, known):
    options = {'temperature': temperature, 'known': KNOWN[known]}
    expected = outcome(embeddings(), **options, impl='eager')
    found = outcome(embeddings(torch.float32), **options, impl='chunked')
    for value, other in zip(found, expected, strict=True):
        assert (value - other).norm() <= 1e-3 * other.norm()


@pytest.mark.parametrize('options', [{'normalize': False}, {'normalize': True}])
def test_no_score_overflows(options):
    """Inner products or biases for which exp() overflows."""
    if options['normalize']:
        options = options | {'item_bias': torch.linspace(-300, 300, NUM_ITEMS)}
    inputs = [(100 * x).detach().requires_grad_() for x in embeddings()]
    expected = outcome(inputs, **options, impl='eager')
    inputs = [x.detach().float().requires_grad_() for x in inputs]
    found = outcome(inputs, **options, impl='chunked')
    for value, other in zip(found, expected, strict=True):
        assert (value - other).norm() <= 1e-4 * other.norm()


def test_no_tensor_of_all_logits_is_created():
    generator = torch.Generator().manual_seed(0)
    user = torch.randn(1000, 4, generator=generator, requires_grad=True)
    item = torch.randn(3000, 4, generator=generator, requires_grad=True)
    pairs = torch.stack([torch.arange(1000), torch.arange(1000)])
    with LargestTensor() as largest:
        softmax_loss(user, item, pairs, known='batch').backward()
    assert largest.numel < 1000 * 3000 / 4


@pytest.mark.usefixtures('fresh_compiler')
def test_compiles_without_a_graph_break():
    def loss(user: Tensor, item: Tensor, pairs: Tensor) -> Tensor:
        return softmax_loss(user, item, pairs, known='batch')

    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    inputs = embeddings(torch.float32)
    total = compiled(*inputs, some_pairs())
    found = [total.detach(), *torch.autograd.grad(total * 3, inputs)]
    for value, other in zip(found, outcome(inputs, known='batch'), strict=True):
        torch.testing.assert_close(value, other)


def test_second_derivatives():
    def eager(user: Tensor, item: Tensor) -> Tensor:
        return softmax_loss(user, item, some_pairs(), known='batch', impl='eager')

    inputs = embeddings()
    assert torch.autograd.gradgradcheck(eager, inputs, fast_mode=True)
    loss = softmax_loss(*inputs, some_pairs(), impl='chunked')
    with pytest.raises(RuntimeError, match="impl='chunked' has first derivatives only"):
        torch.autograd.grad(loss, inputs, create_graph=True)


def test_custom_operator():
    user, item = embeddings()
    users, items = some_pairs()
    known = KNOWN['known']
    given = (
        users,
        items,
        None,
        None,
        None,
        known.rowptr,
        known.item,
        True,
        0.3,
        True,
        True,
    )
    torch.library.opcheck(
        softmax_loss_chunked._mean,
        (user, item, *given),
        test_utils=('test_schema', 'test_faketensor', 'test_autograd_registration'),
    )
