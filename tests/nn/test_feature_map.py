from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import FeatureMap


def test_texts_begin_longer_than_the_tables():
    torch.manual_seed(0)
    texts = torch.nn.functional.normalize(torch.randn(500, 64), dim=1)
    lengths = FeatureMap(64, 256)(texts).detach().norm(dim=1)
    assert lengths.mean() == pytest.approx(2, rel=0.05)


def test_texts_may_be_of_another_precision():
    module = FeatureMap(3, 2)
    texts = torch.randn(4, 3).half()
    torch.testing.assert_close(module(texts), texts.float() @ module.weight.t())


def test_another_width_is_refused():
    with pytest.raises(ValueError, match=r"'x' must be .*\(\*, 3\), got .*4, 5"):
        FeatureMap(3, 2)(torch.randn(4, 5))
