from __future__ import annotations

import pytest
import torch
from torch import nn

from pyg_irllrec.nn import Backbone, BackboneOutput, LightGCN, Recommender
from pyg_irllrec.testing import BackboneTests

GRAPH = BackboneTests().edge_index
TRIPLETS = BackboneTests.triplets


class Wrong(Backbone):
    """Returns what it is told."""

    def __init__(self, output) -> None:
        super().__init__(6, 7, 4)
        self.output = output
        self.weight = nn.Parameter(torch.ones(1))

    def encode(self, x, edge_index, edge_weight):
        return self.output


GOOD = torch.ones(13, 4)


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        (GOOD, 'must return a BackboneOutput, got Tensor'),
        (
            BackboneOutput(GOOD[:12]),
            r'must give embeddings of shape \(13, 4\), a row a node.*got \(12, 4\)',
        ),
        (
            BackboneOutput(GOOD, GOOD[:, :3]),
            r'must give intents of shape \(13, 4\).*got \(13, 3\)',
        ),
        (BackboneOutput([1.0]), 'must give embeddings of shape.*got list'),
    ],
)
def test_a_backbone_that_returns_the_wrong_thing(output, message):
    with pytest.raises(ValueError, match=message):
        Recommender(Wrong(output), GRAPH).loss(TRIPLETS)


def test_a_module_that_is_no_backbone():
    with pytest.raises(ValueError, match=r"'backbone' must be a Backbone, got Linear"):
        Recommender(nn.Linear(2, 2), GRAPH)


def test_is_the_backbone_alone():
    model = Recommender(LightGCN(6, 7, 4, num_intents=2), GRAPH, l2_weight=0.5)
    total, terms = model.loss(TRIPLETS)
    assert set(terms) == {'ranking', 'l2'}
    squares = sum(weight.square().sum() for weight in model.parameters())
    torch.testing.assert_close(terms['l2'], 0.5 * squares)
    torch.testing.assert_close(total, terms['l2'] + terms['ranking'])


def test_an_id_beyond_the_users_is_no_item():
    model = Recommender(LightGCN(6, 7, 4), GRAPH)
    with pytest.raises(IndexError):
        model.loss(torch.tensor([[8], [0], [1]]))


def test_frozen_parameters_do_not_count():
    model = Recommender(LightGCN(6, 7, 4), GRAPH)
    model.backbone.item_embedding.weight.requires_grad_(False)
    expected = 1e-6 * model.backbone.user_embedding.weight.square().sum()
    torch.testing.assert_close(model.loss(TRIPLETS).terms['l2'], expected)
