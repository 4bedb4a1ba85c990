from __future__ import annotations

import torch

from pyg_irllrec.functional._sum_of_squares import sum_of_squares


def test_value_and_derivatives():
    tensors = [
        torch.randn(3, 4, dtype=torch.float64, requires_grad=True),
        torch.randn((), dtype=torch.float64, requires_grad=True),
        torch.zeros(2, dtype=torch.float64, requires_grad=True),
    ]
    expected = sum(value.square().sum() for value in tensors)
    torch.testing.assert_close(sum_of_squares(tensors), expected)
    assert torch.autograd.gradcheck(lambda *x: sum_of_squares(x), tensors)
    assert torch.autograd.gradgradcheck(lambda *x: sum_of_squares(x), tensors)


def test_functional_gradient():
    x = torch.randn(3)
    found = torch.func.grad(lambda value: sum_of_squares([value]))(x)
    torch.testing.assert_close(found, 2 * x)


def test_it_compiles():
    tensors = [torch.randn(5, requires_grad=True) for _ in range(2)]
    compiled = torch.compile(sum_of_squares, fullgraph=True, backend='aot_eager')
    total = compiled(tensors)
    torch.testing.assert_close(total, sum_of_squares(tensors))
    grads = torch.autograd.grad(total, tensors)
    torch.testing.assert_close(grads, tuple(2 * value for value in tensors))
