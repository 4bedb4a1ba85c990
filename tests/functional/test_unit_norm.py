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
