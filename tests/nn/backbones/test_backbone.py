from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import Backbone, BackboneOutput
from pyg_irllrec.nn.backbones import backbone as backbone_module
from pyg_irllrec.testing import BackboneTests


class Mine(Backbone):
    """The example of docs/backbones.md."""

    def __init__(self, num_users, num_items, embedding_dim=4):
        super().__init__(num_users, num_items, embedding_dim, num_intents=2)
        self.x = torch.nn.Parameter(torch.empty(self.num_nodes, embedding_dim))
        torch.nn.init.normal_(self.x)

    def reset_parameters(self):
        super().reset_parameters()
        torch.nn.init.normal_(self.x)

    def node_features(self):
        return self.x

    def encode(self, x, edge_index, edge_weight):
        return BackboneOutput(x, self.interaction_intent([x], edge_index))


class TestMine(BackboneTests):
    test_compile = None  # The other backbones test it.

    def build(self, num_users, num_items, embedding_dim):
        return Mine(num_users, num_items, embedding_dim)


GRAPH = BackboneTests().edge_index


def test_a_subclass_writes_encode():
    backbone = Backbone(6, 7, 4)
    assert backbone.node_features() is None and backbone.num_nodes == 13
    with pytest.raises(NotImplementedError):
        backbone(GRAPH)


def test_by_default_ranks_pairs_and_has_no_loss_of_its_own():
    backbone = Mine(6, 7)
    user, positive, negative = torch.randn(3, 5, 4)
    gap = (user * (positive - negative)).sum(dim=1)
    expected = -torch.nn.functional.logsigmoid(gap).mean()
    torch.testing.assert_close(
        backbone.ranking_loss(user, positive, negative), expected
    )
    assert backbone.auxiliary_loss(backbone(GRAPH), BackboneTests.triplets) == {}


def test_intents_of_each_side_are_of_its_own_prototypes():
    backbone = Mine(6, 7)
    x = torch.randn(13, 4)
    expected = [backbone.user_prototypes(x[:6]), backbone.item_prototypes(x[6:])]
    torch.testing.assert_close(backbone.intents(x), torch.cat(expected))


def test_no_prototypes_no_intents():
    backbone = Backbone(6, 7, 4)
    assert backbone.interaction_intent([torch.randn(13, 4)], GRAPH) is None
    with pytest.raises(ValueError, match=r"'num_intents' .* got 0 for this Backbone"):
        backbone.intents(torch.randn(13, 4))


def test_the_prototype_loss_is_a_cross_entropy():
    backbone = Backbone(6, 7, 4, num_intents=3, intent_temperature=0.5)
    assert backbone.item_prototypes.temperature == 0.5
    x, cluster = torch.randn(13, 4), torch.arange(13) % 3
    shares = (
        backbone.user_prototypes.assign(x[:6]),
        backbone.item_prototypes.assign(x[6:]),
    )
    own = [
        share[range(len(share)), rows]
        for share, rows in zip(shares, cluster.split([6, 7]))
    ]
    expected = sum(-share.log().mean() for share in own)
    torch.testing.assert_close(backbone.prototype_loss(x, cluster), expected)


@pytest.mark.parametrize(
    ('cluster', 'message'),
    [
        (torch.zeros(12).long(), r'shape \(13,\)'),
        (torch.full((13,), 3), 'from 0 to 2'),
        (torch.zeros(13), 'must hold integers'),
    ],
)
def test_wrong_clusters(cluster, message):
    backbone = Backbone(6, 7, 4, num_intents=3)
    with pytest.raises(ValueError, match=f"'cluster' .*{message}"):
        backbone.prototype_loss(torch.randn(13, 4), cluster)


def test_the_prototype_loss_needs_prototypes():
    with pytest.raises(ValueError, match=r"'num_intents' .* got 0 for this Backbone"):
        Backbone(6, 7, 4).prototype_loss(torch.randn(13, 4), torch.zeros(13).long())


def test_wrong_temperatures_are_named_as_given():
    with pytest.raises(ValueError, match="'intent_temperature' must be"):
        Backbone(6, 7, 4, intent_temperature=0)


class Halved(torch.nn.Module):
    def forward(self, x, edge_index, intent):
        return x / 2


def test_the_convolution_can_be_replaced_hooked_and_set(monkeypatch):
    backbone = Mine(6, 7)
    x = torch.randn(13, 4)
    expected = backbone.interaction_intent([x], GRAPH)
    calls = []
    hook = backbone.intent_conv.register_forward_hook(lambda *args: calls.append(args))
    torch.testing.assert_close(backbone.interaction_intent([x], GRAPH), expected)
    assert len(calls) == 1
    hook.remove()

    used = []
    run = backbone_module.unchecked_intent_propagate
    monkeypatch.setattr(
        backbone_module,
        'unchecked_intent_propagate',
        lambda *args: used.append(args[-1]) or run(*args),
    )
    backbone.intent_conv.impl = 'eager'
    torch.testing.assert_close(backbone.interaction_intent([x], GRAPH), expected)
    assert used == ['eager']
    backbone.intent_conv = Halved()
    assert torch.equal(backbone.interaction_intent([x, 3 * x], GRAPH), x)


def test_arguments_of_its_methods_that_do_not_fit():
    backbone = Mine(6, 7)
    with pytest.raises(ValueError, match=r"'x' must have a row.* 13 rows, got 8"):
        backbone.interaction_intent([torch.randn(8, 4)], GRAPH)
    with pytest.raises(ValueError, match="'layers' must be a list"):
        backbone.interaction_intent([], GRAPH)
    rows = torch.randn(4, 4)
    with pytest.raises(ValueError, match="'positive' must have the shape of 'user'"):
        backbone.ranking_loss(rows, rows[0], rows)
    with pytest.raises(ValueError, match="'negative' must have the shape of 'user'"):
        backbone.ranking_loss(rows, rows, rows[:1])


@pytest.mark.parametrize(
    ('x', 'message'),
    [
        (torch.randn(12, 4), "'x' must have a row"),
        (torch.ones(13, 4).long(), "'x' must hold floating-point numbers"),
    ],
)
def test_features_that_do_not_fit(x, message):
    with pytest.raises(ValueError, match=message):
        Mine(6, 7)(GRAPH, x=x)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_users': 0}, "'num_users' must be an integer of at least 1, got 0"),
        ({'num_items': -1}, "'num_items' must be an integer of at least 1, got -1"),
        (
            {'embedding_dim': 0},
            "'embedding_dim' must be an integer of at least 1, got 0",
        ),
        ({'num_intents': -1}, "'num_intents' must be an integer of at least 0, got -1"),
        ({'impl': 'fast'}, "'impl' must be one of 'auto'"),
    ],
)
def test_wrong_arguments(change, message):
    sizes = {'num_users': 6, 'num_items': 7, 'embedding_dim': 4}
    with pytest.raises(ValueError, match=message):
        Backbone(**(sizes | change))


def test_intents_of_layers_at_once_are_those_of_each():
    backbone = Mine(6, 7)
    layers = list(torch.randn(3, 13, 4))
    found = backbone._layer_intents(layers)
    torch.testing.assert_close(list(found), [backbone.intents(x) for x in layers])
    user = backbone.user_prototypes(layers[1][:6])
    torch.testing.assert_close(found[1][:6], user)


class Scaled(Mine):
    def intents(self, x):
        return 2 * super().intents(x)


def test_a_subclass_may_mix_intents_of_its_own():
    backbone = Scaled(6, 7)
    layers = list(torch.randn(3, 13, 4))
    found = backbone._layer_intents(layers)
    torch.testing.assert_close(list(found), [backbone.intents(x) for x in layers])
    plain = Backbone.intents(backbone, layers[0])
    torch.testing.assert_close(found[0], 2 * plain)
