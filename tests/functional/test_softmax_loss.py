from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pyg_irllrec.functional import softmax_loss
from pyg_irllrec.utils import UserItems

PAIRS = torch.tensor([[0, 2, 0], [1, 3, 0]])


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def scores(normalize: bool = True) -> tuple[torch.Tensor, ...]:
    user, item = rows(3, 2), rows(5, 2, seed=1)
    left, right = (F.normalize(x) if normalize else x for x in (user, item))
    return user, item, left @ right.t() / 0.5


@pytest.mark.parametrize('impl', ['eager', 'chunked'])
@pytest.mark.parametrize('normalize', [False, True])
def test_is_a_cross_entropy_over_all_items(normalize, impl):
    user, item, logits = scores(normalize)
    options = {'temperature': 0.5, 'normalize': normalize, 'impl': impl}
    loss = softmax_loss(user, item, PAIRS, **options)
    torch.testing.assert_close(loss, F.cross_entropy(logits[PAIRS[0]], PAIRS[1]))
    bias = rows(5, seed=2)
    loss = softmax_loss(user, item, PAIRS, item_bias=bias, **options)
    expected = F.cross_entropy((logits + bias)[PAIRS[0]], PAIRS[1])
    torch.testing.assert_close(loss, expected)
    triplets = torch.cat([PAIRS, PAIRS[1:]])
    assert torch.equal(
        softmax_loss(user, item, triplets, item_bias=bias, **options), loss
    )


@pytest.mark.parametrize('impl', ['eager', 'chunked'])
@pytest.mark.parametrize('known', ['batch', UserItems(torch.tensor([[0], [4]]), 3, 5)])
def test_known_items_do_not_compete(known, impl):
    user, item, logits = scores()
    loss = softmax_loss(user, item, PAIRS, temperature=0.5, known=known, impl=impl)
    competing = {(0, 1): [1, 2, 3, 4], (2, 3): [0, 1, 2, 3, 4], (0, 0): [0, 2, 3, 4]}
    expected = 0.0
    for (row, positive), left in competing.items():
        left = left if known == 'batch' or row == 2 else left[:-1]
        expected += logits[row, left].logsumexp(0) - logits[row, positive]
    torch.testing.assert_close(loss, expected / 3)


@pytest.mark.parametrize('impl', ['eager', 'chunked'])
def test_weights_whose_sum_overflows(impl):
    user, item = rows(3, 2).float().requires_grad_(), rows(5, 2, seed=1).float()
    found = []
    for size in 1.0, 1e38:
        weight = size * torch.tensor([3.0, 1.0, 2.0])
        loss = softmax_loss(user, item, PAIRS, weight=weight, impl=impl)
        found.append((loss, *torch.autograd.grad(loss, user)))
    torch.testing.assert_close(found[1], found[0])


def test_a_user_who_knows_all_items_has_no_loss():
    user, item = rows(1, 2).requires_grad_(), rows(2, 2, seed=1)
    loss = softmax_loss(user, item, torch.tensor([[0, 0], [0, 1]]), known='batch')
    loss.backward()
    assert loss == 0 and torch.equal(user.grad, torch.zeros_like(user))


@pytest.mark.parametrize('weight', [None, torch.tensor([4.0, 1.0, 3.0, 2.0, 1.0])])
@pytest.mark.parametrize('known', ['batch', UserItems(torch.tensor([[0], [4]]), 3, 5)])
def test_sampled_items_estimate_the_full_loss(known, weight, generator):
    user, item, _ = scores()
    user, item = user.requires_grad_(), item.requires_grad_()
    options = {'temperature': 0.5, 'known': known, 'item_bias': rows(5, seed=2)}
    loss = softmax_loss(
        *(user, item, PAIRS),
        **{**options, 'num_samples': 10**6, 'sample_weight': weight},
        generator=generator,
    )
    expected = softmax_loss(user, item, PAIRS, **options)
    torch.testing.assert_close(loss, expected, rtol=5e-3, atol=0)
    for value, other in zip(
        torch.autograd.grad(loss, [user, item]),
        torch.autograd.grad(expected, [user, item]),
    ):
        assert (value - other).norm() < 1e-2 * other.norm()


def test_sampling_is_unbiased(generator):
    user, item, logits = scores()
    pairs = torch.tensor([[0], [1]])
    options = {'temperature': 0.5, 'known': 'batch', 'num_samples': 2}
    losses = [
        softmax_loss(user, item, pairs, generator=generator, **options)
        for _ in range(5000)
    ]
    others = torch.stack(losses).exp().mean() - 1
    expected = logits[0, [0, 2, 3, 4]].exp().sum() / logits[0, 1].exp()
    torch.testing.assert_close(others, expected, rtol=3e-2, atol=0)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    user, item = rows(3, 2).to(dtype).requires_grad_(), rows(5, 2, seed=1).to(dtype)
    loss = softmax_loss(user, item, PAIRS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, softmax_loss(user.float(), item.float(), PAIRS))
    loss.backward()
    assert user.grad.dtype == dtype


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'user': rows(3)}, r"'user' must be a matrix .*, got shape \(3,\)"),
        ({'item': rows(5, 3)}, "'item' must be as wide as 'user', 2, got 3"),
        ({'item': rows(5, 2).float()}, "'item' must be as precise as 'user'"),
        ({'pairs': PAIRS[:1]}, r"'pairs' must have shape \(2, batch_size\) or"),
        ({'pairs': PAIRS.float()}, "'pairs' must hold integers"),
        ({'pairs': PAIRS + 3}, r"'pairs\[0\]' must hold ids of users from 0 to 2, got"),
        ({'pairs': PAIRS - 1}, r"'pairs\[0\]' must hold ids of users from 0 to 2, got"),
        ({'pairs': PAIRS.flip(0) + 2}, r"'pairs\[0\]' must hold ids of users"),
        ({'temperature': 0.0}, "'temperature' must be at least 1e-30, got 0.0"),
        ({'known': 'all'}, "'known' must be UserItems, 'batch' or None, got 'all'"),
        ({'known': UserItems(PAIRS, 4, 5)}, "'known' must have 3 users and 5 items"),
        ({'item_bias': rows(4)}, r"'item_bias' must have shape \(5,\), got \(4,\)"),
        ({'item_bias': rows(5).log()}, "'item_bias' must be finite, got NaN"),
        ({'max_users': 1}, "'max_users' must be at least the number of .*, 2, got 1"),
        ({'max_users': True}, "'max_users' must be an integer of at least 1, got"),
        ({'weight': -torch.ones(3)}, "'weight' must be finite, at least 0, and"),
        ({'num_samples': 0}, "'num_samples' must be an integer of at least 1, got 0"),
        ({'num_samples': 3, 'known': None}, "'known' must be UserItems or 'batch' wit"),
        ({'sample_weight': rows(5)}, "'sample_weight' must be None without 'num_sam"),
        (
            {'sample_weight': -torch.ones(5), 'num_samples': 3},
            "'sample_weight' must be finite, at least 0",
        ),
        (
            {'sample_weight': torch.ones(4), 'num_samples': 3},
            r"'sample_weight' must have shape \(5,\)",
        ),
        ({'impl': 'torch'}, "'impl' must be one of 'auto', 'eager', 'chunked', got"),
    ],
)
def test_wrong_arguments(change, message):
    given = {'user': rows(3, 2), 'item': rows(5, 2), 'pairs': PAIRS, 'known': 'batch'}
    with pytest.raises(ValueError, match=message):
        softmax_loss(**{**given, **change})
