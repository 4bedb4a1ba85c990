from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn.models._blend import best_blend, blend, standardise


def test_standardises_each_user():
    score = torch.tensor([[1.0, 2, 3], [0.1, 0.1, 0.1], [-5, 0, 500]])
    found = standardise(score)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(3), atol=1e-6, rtol=0)
    deviation = found.std(dim=1, correction=0)
    torch.testing.assert_close(deviation, torch.tensor([1.0, 0, 1]))
    torch.testing.assert_close(standardise(1000 * score + 3), found)


def test_blends_what_has_a_weight():
    one = torch.ones(1, 2)
    assert torch.equal(blend([one, None, 4 * one], [0.5, 0.0, 0.25]), 1.5 * one)
    assert torch.equal(blend([one, torch.tensor([[torch.nan, 0]])], [1.0, 0.0]), one)


def peaked(*best):
    """Two metrics with one common peak."""

    def measure(weights):
        distance = (torch.tensor(weights) - torch.tensor(best)).square().sum(dim=1)
        return (1 - distance / 4)[:, None] * torch.tensor([0.2, 0.01])

    return measure


@pytest.mark.parametrize(
    'best',
    [(0.7, 0.3), (1.0, 0.0), (0.0, 1.0), (0.4, 0.6, 0.0), (0.0, 0.35, 0.65)],
)
def test_finds_the_peak(best):
    assert best_blend(peaked(*best), len(best)) == pytest.approx(list(best))


def test_finds_a_peak_of_three():
    found = best_blend(peaked(0.5, 0.3, 0.2), 3)
    assert sum(found) == pytest.approx(1)
    assert found == pytest.approx([0.5, 0.3, 0.2], abs=0.06)


def test_the_best_single_ranker_where_a_blend_gains_next_to_nothing():
    def measure(weights):
        mixed = torch.tensor(weights).amax(dim=1) < 1
        graph = torch.tensor(weights)[:, 0]
        value = torch.where(mixed, torch.tensor(0.50001), 0.4 + 0.1 * graph)
        return torch.stack([value, value], dim=1)

    assert best_blend(measure, 3) == [1, 0, 0]


def test_each_metric_counts_alike():
    """A gain of 0.01 in NDCG counts more than 0.02 in a Recall ten times as large."""

    def measure(weights):
        graph = torch.tensor(weights)[:, 0]
        return torch.stack([1.0 + 0.02 * (1 - graph), 0.1 + 0.01 * graph], dim=1)

    assert best_blend(measure, 2) == [1, 0]


def test_nothing_is_found():
    assert sum(best_blend(lambda weights: torch.zeros(len(weights), 2), 2)) == 1
