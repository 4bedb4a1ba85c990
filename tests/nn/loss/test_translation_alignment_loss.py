from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import info_nce
from pyg_irllrec.nn import TranslationAlignmentLoss
from pyg_irllrec.testing import replay_draws


def test_formula():
    text, embedding, first, second = torch.randn(4, 9, 3, dtype=torch.float64)
    with replay_draws([first, second]):
        loss = TranslationAlignmentLoss(eps=1e-8)(text, embedding)
    expected = info_nce(text + text * first, embedding + embedding * second, eps=1e-8)
    torch.testing.assert_close(loss, expected)


def test_noise_comes_from_the_generator():
    text, embedding = torch.randn(2, 9, 3)
    loss = TranslationAlignmentLoss()

    def value(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        return loss(text, embedding, generator).item()

    assert value(1) == value(1) != value(2)


def test_no_noise_in_evaluation():
    text, embedding = torch.randn(2, 9, 3)
    loss = TranslationAlignmentLoss().eval()
    torch.testing.assert_close(loss(text, embedding), info_nce(text, embedding))
    quiet = TranslationAlignmentLoss(noise=0.0)
    torch.testing.assert_close(quiet(text, embedding), info_nce(text, embedding))


def test_compiles_without_graph_breaks():
    text, embedding = torch.randn(2, 9, 3)
    loss = TranslationAlignmentLoss().eval()
    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(text, embedding), loss(text, embedding))


@pytest.mark.parametrize('name', ['noise', 'eps', 'temperature'])
def test_wrong_arguments(name):
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        TranslationAlignmentLoss(**{name: -1.0})


def test_repr_and_the_floor_of_the_temperature():
    shown = repr(TranslationAlignmentLoss(0.5, eps=1e-8, impl='moments'))
    assert shown.endswith("(temperature=0.5, noise=1.0, eps=1e-08, impl='moments')")
    with pytest.raises(ValueError, match="'temperature' must be at least 1e-30"):
        TranslationAlignmentLoss(1e-40)


def test_wrong_tensors():
    with pytest.raises(ValueError, match="'embedding' must have the shape of 'text'"):
        TranslationAlignmentLoss()(torch.randn(5, 4), torch.randn(5, 3))
    with pytest.raises(ValueError, match="'text' must hold floating-point numbers"):
        TranslationAlignmentLoss()(torch.ones(5, 4).long(), torch.randn(5, 4))
    with pytest.raises(ValueError, match="'embedding' must hold floating-point"):
        TranslationAlignmentLoss()(torch.randn(5, 4), torch.ones(5, 4).long())
