from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import propagate
from pyg_irllrec.nn import EmbeddingBackbone
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.utils import symmetric_norm

GRAPH = BackboneTests().edge_index


class LastLayers(EmbeddingBackbone):
    """Scores without the layer 0."""

    def layers(self, x, edge_index, edge_weight):
        return super().layers(x, edge_index, edge_weight)[1:]


def test_the_layers_of_a_subclass_are_summed():
    model = LastLayers(6, 7, 4, num_layers=2)
    x = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    torch.testing.assert_close(model.node_features(), x)
    weight = symmetric_norm(GRAPH, 13)
    first = propagate(x, GRAPH, weight)
    expected = first + propagate(first, GRAPH, weight)
    torch.testing.assert_close(model(GRAPH).embedding, expected)
    torch.testing.assert_close(model.get_embedding(GRAPH), expected)


def test_is_drawn_by_xavier_on_the_default_device():
    with torch.device('meta'):
        assert EmbeddingBackbone(6, 7, num_intents=2).node_features().is_meta
    weight = EmbeddingBackbone(50, 7, 14).user_embedding.weight
    bound = (6 / 64) ** 0.5
    assert 0.9 * bound < weight.abs().max() <= bound


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'num_layers' must be above 0, got 0"):
        EmbeddingBackbone(6, 7, num_layers=0)
