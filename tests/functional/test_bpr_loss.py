from __future__ import annotations

import math

import pytest
import torch

from pyg_irllrec.functional import bpr_loss


def test_by_hand():
    user = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    positive = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    negative = torch.tensor([[0.0, 1.0], [3.0, 1.0]])
    expected = [math.log(1 + math.exp(1.0)), math.log(2)]
    loss = bpr_loss(user, positive, negative, reduction='none')
    torch.testing.assert_close(loss, torch.tensor(expected))
    torch.testing.assert_close(bpr_loss(user, positive, negative), loss.mean())


def test_large_scores_do_not_overflow():
    user = torch.full((1, 1), 1e4, requires_grad=True)
    loss = bpr_loss(user, torch.zeros(1, 1), torch.ones(1, 1))
    loss.backward()
    torch.testing.assert_close(loss.item(), 1e4)
    torch.testing.assert_close(user.grad, torch.ones(1, 1))


def test_gradients():
    inputs = [
        torch.randn(3, 2, dtype=torch.float64, requires_grad=True) for _ in range(3)
    ]
    assert torch.autograd.gradcheck(bpr_loss, inputs)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'user': torch.randn(3)}, r"'user' must be a matrix .*, got shape \(3,\)"),
        ({'user': torch.ones(2, 3).long()}, "'user' must hold floating-point numbers"),
        ({'positive': torch.randn(1, 3)}, "'positive' must have the shape of 'user'"),
        ({'negative': torch.randn(1, 3)}, "'negative' must have the shape of 'user'"),
        ({'reduction': 'max'}, "'reduction' must be one of 'none', 'mean', 'sum', got"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = dict.fromkeys(('user', 'positive', 'negative'), torch.randn(2, 3))
    with pytest.raises(ValueError, match=message):
        bpr_loss(**{**arguments, **change})
