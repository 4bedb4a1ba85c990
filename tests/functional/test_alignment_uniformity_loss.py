from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pyg_irllrec.functional import alignment_uniformity_loss

PAIRS = torch.tensor([[0, 2, 0, 1], [1, 3, 0, 3]])


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize('weight', [0.0, 0.5])
def test_equals_the_paper_for_distinct_nodes(weight):
    user, item = rows(4, 3), rows(5, 3, seed=1)
    left, right = F.normalize(user), F.normalize(item)
    align = (left[PAIRS[0]] - right[PAIRS[1]]).norm(dim=1).square().mean()
    apart = [
        torch.pdist(x).square().mul(-2).exp().mean().log()
        for x in (left[:3], right[[0, 1, 3]])
    ]
    loss = alignment_uniformity_loss(user, item, PAIRS, uniformity_weight=weight)
    torch.testing.assert_close(loss, align + weight * sum(apart) / 2)
    triplets = torch.cat([PAIRS, PAIRS[:1] + 100])
    other = alignment_uniformity_loss(user, item, triplets, uniformity_weight=weight)
    assert torch.equal(other, loss)


def test_gradients_and_a_single_user():
    user, item = rows(1, 3).requires_grad_(), rows(5, 3, seed=1).requires_grad_()
    pairs = torch.tensor([[0, 0], [1, 2]])

    def loss(user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        return alignment_uniformity_loss(user, item, pairs)

    assert torch.autograd.gradcheck(loss, (user, item))
    one = alignment_uniformity_loss(user, item, pairs[:, :1])
    without = alignment_uniformity_loss(user, item, pairs[:, :1], uniformity_weight=0)
    assert torch.equal(one, without)


@pytest.mark.parametrize('max_users', [3, 4, 9])
@pytest.mark.parametrize('pairs', [PAIRS, PAIRS[:, :1], PAIRS[:, [1, 3]]], ids=str)
def test_a_fixed_number_of_users_changes_nothing(pairs, max_users):
    """Repeated pairs of weight 0 change nothing either."""
    user, item = rows(4, 3).requires_grad_(), rows(5, 3, seed=1).requires_grad_()
    weight = torch.linspace(1, 2, pairs.size(1))
    loss = alignment_uniformity_loss(user, item, pairs, weight=weight)
    again = torch.cat([pairs, pairs[:, :1].expand(-1, 2)], dim=1)
    weight = torch.cat([weight, torch.zeros(2)])
    fixed = alignment_uniformity_loss(
        user, item, again, weight=weight, max_users=max_users
    )
    torch.testing.assert_close(fixed, loss)
    torch.testing.assert_close(
        torch.autograd.grad(fixed, [user, item]),
        torch.autograd.grad(loss, [user, item]),
    )


def test_weights_give_a_weighted_mean():
    user, item, count = rows(4, 3), rows(5, 3, seed=1), torch.tensor([2, 1, 0, 1])
    loss = alignment_uniformity_loss(user, item, PAIRS, weight=count)
    repeated = PAIRS.repeat_interleave(count, dim=1)
    options = {'uniformity_weight': 0.0}
    aligned = alignment_uniformity_loss(user, item, repeated, **options)
    apart = alignment_uniformity_loss(user, item, PAIRS)
    apart = apart - alignment_uniformity_loss(user, item, PAIRS, **options)
    torch.testing.assert_close(loss, aligned + apart)


def test_half_precision_is_computed_in_float32():
    user, item = rows(3, 2).bfloat16().requires_grad_(), rows(5, 2, seed=1).bfloat16()
    loss = alignment_uniformity_loss(user, item, PAIRS)
    assert loss.dtype == torch.float32
    expected = alignment_uniformity_loss(user.float(), item.float(), PAIRS)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert user.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'max_users': 2}, "'max_users' must be at least the number of .*, 3, got 2"),
        ({'max_users': 0}, "'max_users' must be an integer of at least 1, got 0"),
        ({'weight': rows(3)}, r"'weight' must have shape \(4,\), got \(3,\)"),
        ({'user': rows(3)}, r"'user' must be a matrix .*, got shape \(3,\)"),
        ({'item': rows(5, 3)}, "'item' must be as wide as 'user', 2, got 3"),
        ({'pairs': PAIRS + 2}, r"'pairs\[0\]' must hold ids of users from 0 to 2, got"),
        ({'uniformity_weight': -1}, "'uniformity_weight' must be at least 0, got -1"),
    ],
)
def test_wrong_arguments(change, message):
    given = {'user': rows(3, 2), 'item': rows(5, 2), 'pairs': PAIRS}
    with pytest.raises(ValueError, match=message):
        alignment_uniformity_loss(**{**given, **change})
