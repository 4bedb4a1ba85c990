from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import TwoViewBackbone
from pyg_irllrec.testing import BackboneTests

TESTS = BackboneTests()
GRAPH, TRIPLETS = TESTS.edge_index, TESTS.triplets


class Scaled(TwoViewBackbone):
    """Each view is a multiple of the features."""

    calls = 0

    def view(self, x, edge_index, edge_weight):
        self.calls += 1
        return [x, x * self.calls]


class Signed(Scaled):
    contrasts_negatives = False
    intent_of_view = True


def test_views_in_training_only_and_the_intact_graph_scores():
    model = Scaled(6, 7, 4)
    x = model.node_features()
    output = model(GRAPH)
    torch.testing.assert_close(output.views, (2 * x, 3 * x))
    torch.testing.assert_close(output.embedding, model.get_embedding(GRAPH))
    assert model.eval()(GRAPH).views == () and model.calls == 2


@pytest.mark.parametrize(('cls', 'columns'), [(Scaled, 3), (Signed, 2)])
def test_columns_of_the_triplets_are_contrasted(cls, columns):
    model = cls(6, 7, 4, contrast_weight=0.5)
    output = model(GRAPH)
    # All rows have the same direction.
    first, second = output.views
    sides = [(first[:6], second[:6]), *[(first[6:], second[6:])] * 2]
    expected = sum(
        model.contrast_loss(*side, nodes)
        for side, nodes in zip(sides[:columns], TRIPLETS)
    )
    loss = model.auxiliary_loss(output, TRIPLETS)['contrast']
    torch.testing.assert_close(loss, 0.5 * expected)


@pytest.mark.parametrize(('cls', 'of_view'), [(Scaled, False), (Signed, True)])
def test_whose_intents_are_aligned(cls, of_view):
    model = cls(6, 7, 4, num_layers=1, num_intents=2)
    seen = [model.node_features()]  # All layers except the last, in both cases.
    expected = model.interaction_intent(seen, GRAPH)
    layers = []
    model.interaction_intent = lambda given, _: layers.append(given) or expected
    model(GRAPH)
    whole = model.layers(model.node_features(), *model.normalise(GRAPH, None, None))
    torch.testing.assert_close(layers[0], whole[:-1])
    assert model.intent_of_view is of_view


def test_a_subclass_writes_view():
    with pytest.raises(NotImplementedError):
        TwoViewBackbone(6, 7, 4)(GRAPH)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'negatives': 'some'}, "'negatives' must be one of 'batch', 'all'"),
        ({'contrast_impl': 'fast'}, "'impl' must be one of 'auto'"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        TwoViewBackbone(6, 7, **change)


def test_hooks_on_the_contrast_run():
    model = Scaled(6, 7, 4)
    calls = []
    model.contrast_loss.register_forward_hook(lambda *args: calls.append(args))
    model.auxiliary_loss(model(GRAPH), TRIPLETS)
    assert len(calls) == 3
