from __future__ import annotations

import torch

from pyg_irllrec.functional import unit_norm


def test_rows_have_unit_length():
    norm = unit_norm(torch.randn(5, 3, dtype=torch.float64)).norm(dim=-1)
    torch.testing.assert_close(
        norm, torch.ones(5, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_zero_is_zero_with_a_finite_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    out = unit_norm(x)
    out.sum().backward()
    assert (out == 0).all() and x.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    for dtype in (torch.half, torch.bfloat16):
        x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [300.0, 400.0]], dtype=dtype)
        out = unit_norm(x)
        assert out.dtype == dtype
        expected = torch.tensor([[0.0, 0.0], [0.6, 0.8], [0.6, 0.8]])
        torch.testing.assert_close(out.float(), expected, atol=3e-3, rtol=0)
