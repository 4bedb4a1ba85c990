from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import TextProjector


def test_formula():
    projector = TextProjector(6, 4)
    x = torch.randn(3, 6)
    hidden = x @ projector[0].weight.t() + projector[0].bias
    assert hidden.shape == (3, 5)
    hidden = hidden.where(hidden > 0, 0.01 * hidden)
    expected = hidden @ projector[2].weight.t() + projector[2].bias
    torch.testing.assert_close(projector(x), expected)


def test_reads_half_precision_text_in_its_own_dtype():
    assert TextProjector(6, 4)(torch.randn(3, 6).half()).dtype == torch.float32
    assert TextProjector(6, 4).double()(torch.randn(3, 6)).dtype == torch.float64


def test_is_drawn_on_the_default_device():
    with torch.device('meta'):
        assert all(weight.is_meta for weight in TextProjector(6, 4).parameters())


def test_wrong_width():
    with pytest.raises(
        ValueError, match="'in_channels' must be an integer of at least 1, got 0"
    ):
        TextProjector(0, 4)
    with pytest.raises(ValueError, match=r"'hidden_channels' must be .*, got 0"):
        TextProjector(6, 4, 0)


def test_weights_are_xavier_uniform():
    """The bound of torch's default, 1 / sqrt(in), is less than half of this one."""
    projector = TextProjector(100, 2, hidden_channels=20)
    bound = (6 / 120) ** 0.5
    assert 0.2 < projector[0].weight.abs().max() <= bound
