from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from pyg_irllrec.nn import BIGCF, IRLLRec
from pyg_irllrec.testing import BackboneTests, replay_draws


class TestBIGCF(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return BIGCF(
            num_users,
            num_items,
            embedding_dim=embedding_dim,
            num_layers=2,
            num_intents=3,
        )


def test_blurred_in_training_only():
    tests = TestBIGCF()
    model = tests.backbone()
    noise = torch.randn(tests.num_nodes, 4)
    with replay_draws([noise]):
        blurred = model(tests.edge_index)
    clean = model.eval()(tests.edge_index)
    shared = model.intents(clean.embedding)
    torch.testing.assert_close(blurred.embedding, clean.embedding + shared * noise)


def test_interaction_intents_are_the_mean_over_layers():
    tests = TestBIGCF()
    model, graph = tests.backbone().eval(), tests.edge_index
    layers = model.layers(
        model.node_features(), *model.normalise(graph, None, torch.float32)
    )
    convolved = [
        model.intent_conv(after, graph, intent=model.intents(before))
        for before, after in pairwise(layers)
    ]
    found = model(graph).interaction_intent
    torch.testing.assert_close(found, sum(convolved) / len(convolved))


def test_a_batch_of_one_node_counted_once_has_nothing_to_spread():
    tests = TestBIGCF()
    model = tests.backbone().eval()
    output = model(tests.edge_index)
    triplets = torch.tensor([[3, 3], [1, 1], [0, 0]])
    assert model.auxiliary_loss(output, triplets)['contrast'].abs() < 1e-5
    model.duplicates = True
    assert model.auxiliary_loss(output, triplets)['contrast'] > 0.05


def test_unused_intents_are_not_computed():
    tests = TestBIGCF()
    model = BIGCF(6, 7, embedding_dim=4, num_intents=3, interaction_intents=False)
    assert model(tests.edge_index).interaction_intent is None
    with pytest.raises(ValueError, match="'intent' texts need a backbone"):
        IRLLRec(model, tests.edge_index, **tests.texts())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_intents': 0}, "'num_intents' must be an integer of at least 1, got 0"),
        ({'temperature': -0.2}, "'temperature' must be at least 1e-30, got -0.2"),
        ({'center_weight': -1}, "'center_weight' must be at least 0, got -1"),
        ({'contrast_weight': -1}, "'contrast_weight' must be at least 0, got -1"),
        ({'eps': -1}, "'eps' must be at least 0, got -1"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        BIGCF(6, 7, **change)


def test_embeddings_alone_are_those_of_forward_in_training_too():
    tests = TestBIGCF()
    model = tests.backbone()
    found = []
    for embed in (lambda: model(tests.edge_index).embedding, model.get_embedding):
        torch.manual_seed(0)
        found.append(embed() if not found else embed(tests.edge_index))
    assert torch.equal(*found)
