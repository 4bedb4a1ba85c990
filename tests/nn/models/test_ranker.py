from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import Ranker
from pyg_irllrec.utils import UserItems

SCORES = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
PAIRS = torch.tensor([[4, 0, 4, 2, 0], [1, 7, 0, 3, 7]])


class Fixed(Ranker):
    """Return rows of a stored tensor."""

    def __init__(self, scores=SCORES):
        super().__init__(5, 8)
        self.register_buffer('scores', scores)
        self.sizes = []

    def score(self, users):
        assert not self.training
        self.sizes.append(users.numel())
        return self.scores[users]


class Same(Ranker):
    """Return the stored tensor itself."""

    def __init__(self):
        super().__init__(5, 8)
        self.register_buffer('row', SCORES[:1].clone())

    def score(self, users):
        return self.row.expand(users.numel(), -1)


def test_scores_pairs(monkeypatch):
    monkeypatch.setattr('pyg_irllrec.nn.models.ranker._BATCH_SIZE', 2)
    model = Fixed().eval()
    assert torch.equal(model(PAIRS), SCORES[PAIRS[0], PAIRS[1]])
    assert model.sizes == [2, 1]
    assert model(PAIRS[:, :0]).shape == (0,)
    with pytest.raises(ValueError, match=r"'edge_label_index\[1\] \(items\)' must"):
        model(PAIRS + torch.tensor([[0], [1]]))


def test_recommends_in_batches():
    model = Fixed()
    users = torch.tensor([3, 0, 4])
    expected = SCORES.clone()
    expected[PAIRS[0], PAIRS[1]] = -torch.inf
    best = expected[users].sort(descending=True, stable=True)
    found = model.recommend(users, 3, exclude=PAIRS, batch_size=2)
    assert torch.equal(found.item, best.indices[:, :3])
    assert torch.equal(found.score, best.values[:, :3])
    assert model.training and model.sizes == [2, 1]


def test_masking_does_not_change_the_tensor_of_a_ranker():
    model = Same()
    everything = torch.stack([torch.zeros(8).long(), torch.arange(8)])
    found = model.recommend([0, 1], 8, exclude=everything)
    assert found.item[0].tolist() == [-1] * 8
    assert torch.equal(model.row, SCORES[:1]) and (found.item[1] >= 0).all()


@pytest.mark.parametrize(
    ('scores', 'message'),
    [
        (torch.ones(5, 7), r'of shape \(1, 8\), got \(1, 7\)'),
        (torch.ones(5, 8).long(), "'score' must hold floating-point numbers"),
    ],
)
def test_wrong_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        Fixed(scores).recommend([0], 2)


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_scores_that_cannot_be_ranked(value):
    scores = SCORES.clone()
    scores[3, 1] = value
    with pytest.raises(ValueError, match=f'must be finite, got {value} for user 3'):
        Fixed(scores).recommend([0, 3], 2)


def test_where_it_is():
    assert Ranker(2, 3).device == torch.device('cpu')
    assert Fixed(SCORES.to('meta')).device == torch.device('meta')


def test_has_nothing_to_calibrate():
    model, items = Fixed(), UserItems(PAIRS, 5, 8)
    model.calibrate(items, items)
    assert model.sizes == [] and not model.needs_calibration
    for name, value, message in (
        ('label', PAIRS, 'must be a UserItems, got Tensor: pass val_items'),
        ('exclude', UserItems(PAIRS, 6, 8), 'must have the 5 users and 8 items'),
        ('label', UserItems(PAIRS[:, :0], 5, 8), 'must have at least one interaction'),
    ):
        given = {'label': items, 'exclude': items, name: value}
        with pytest.raises(ValueError, match=f"'{name}' {message}"):
            model.calibrate(**given)
