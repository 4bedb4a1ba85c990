from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import propagate
from pyg_irllrec.nn import EmbeddingBackbone, LightGCN
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.utils import symmetric_norm

GRAPH = BackboneTests().edge_index


class LastLayers(EmbeddingBackbone):
    """Leave layer 0 out of the sum."""

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


@pytest.mark.parametrize('num_users', [5.5, None, True])
def test_sizes_are_integers(num_users):
    with pytest.raises(ValueError, match="'num_users' must be an integer of at least"):
        EmbeddingBackbone(num_users, 6)


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match="'num_layers' must be an integer of at least 1, got 0"
    ):
        EmbeddingBackbone(6, 7, num_layers=0)


class Shifted(LightGCN):
    """Compute embeddings that are not the sum of layers."""

    def encode(self, x, edge_index, edge_weight):
        output = super().encode(x, edge_index, edge_weight)
        return output._replace(embedding=output.embedding + 7)


def test_embeddings_alone_are_those_that_are_trained():
    model = Shifted(6, 7, 4)
    torch.testing.assert_close(model.get_embedding(GRAPH), model(GRAPH).embedding)
    plain = LightGCN(6, 7, 4, num_intents=2)
    expected = plain.get_embedding(GRAPH)
    forward = plain.forward
    plain.forward = lambda *args: forward(*args)._replace(embedding=expected + 7)
    assert torch.equal(plain.get_embedding(GRAPH), expected + 7)


def test_hooks_on_it_run_where_the_embeddings_alone_are_read():
    model = LightGCN(6, 7, 4, num_intents=2)
    calls = []
    model.user_prototypes.register_forward_hook(lambda *args: calls.append('intents'))
    expected = model.get_embedding(GRAPH)
    assert (
        not calls
    )  # Interaction intents are expensive, and evaluation does not read them.
    model.register_forward_hook(lambda *args: calls.append('forward'))
    assert torch.equal(model.get_embedding(GRAPH), expected)
    assert calls[-1] == 'forward'
