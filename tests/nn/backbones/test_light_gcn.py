from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.nn import LightGCN
from pyg_irllrec.testing import BackboneTests, replay_draws
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm
from tests.conftest import DIM, NUM_ITEMS, NUM_USERS

NUM_NODES = NUM_USERS + NUM_ITEMS


class TestLightGCN(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return LightGCN(
            num_users,
            num_items,
            embedding_dim,
            num_layers=2,
            num_intents=3,
            edge_dropout=0.3,
        )


class TestLightGCNWithoutIntents(BackboneTests):
    test_compile = None  # Covered by TestLightGCN.

    def build(self, num_users, num_items, embedding_dim):
        return LightGCN(num_users, num_items, embedding_dim)


@pytest.fixture
def model() -> LightGCN:
    return LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=2, num_intents=3).double()


def normalised(interactions) -> torch.Tensor:
    a = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    a[interactions[0], NUM_USERS + interactions[1]] = 1
    a = a + a.t()
    inverse = a.sum(dim=1).rsqrt().nan_to_num(posinf=0)
    return inverse[:, None] * a * inverse


def test_equals_the_dense_formula(model, interactions, edge_index):
    out = model(edge_index)
    e = torch.cat([model.user_embedding.weight, model.item_embedding.weight])
    layers = [e]
    for _ in range(2):
        layers.append(normalised(interactions) @ layers[-1])
    torch.testing.assert_close(out.embedding, sum(layers), rtol=1e-6, atol=1e-7)

    def intents(x):
        user, item = model.user_prototypes, model.item_prototypes
        return torch.cat([user(x[:NUM_USERS]), item(x[NUM_USERS:])])

    index = edge_index.as_tensor()
    expected = sum(intent_propagate(x, intents(x), index) for x in layers[:2]) / 2
    torch.testing.assert_close(out.interaction_intent, expected, rtol=1e-6, atol=1e-7)


def test_get_embedding_gives_the_embeddings_of_forward(model, edge_index):
    assert torch.equal(model.get_embedding(edge_index), model(edge_index).embedding)


def test_weights_given_or_computed(model, edge_index):
    weight = symmetric_norm(edge_index, NUM_NODES)
    expected = model(edge_index)
    torch.testing.assert_close(model(edge_index, weight), expected)
    index = edge_index.as_tensor()
    torch.testing.assert_close(model(index, weight), expected)
    size = (NUM_NODES, NUM_NODES)
    coo = torch.sparse_coo_tensor(index.flip(0), weight.double(), size).coalesce()
    for adj in (coo, coo.to_sparse_csr(), coo.to_sparse_csc()):
        torch.testing.assert_close(model(adj), expected, rtol=1e-6, atol=1e-7)


def test_without_intents(edge_index):
    model = LightGCN(NUM_USERS, NUM_ITEMS, DIM)
    assert model(edge_index).interaction_intent is None
    assert len(list(model.parameters())) == 2
    with pytest.raises(
        ValueError, match="'num_intents' must be at least 1 to use intents"
    ):
        model.intents(torch.randn(NUM_NODES, DIM))


def test_edge_dropout_keeps_edges_and_their_weights(edge_index):
    model = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=1, edge_dropout=0.4)
    draw = torch.linspace(0, 0.99, edge_index.size(1))
    with replay_draws([draw]):
        out = model(edge_index).embedding
    kept = draw >= 0.4
    weight = symmetric_norm(edge_index, NUM_NODES)
    plain = LightGCN(NUM_USERS, NUM_ITEMS, DIM, num_layers=1)
    plain.load_state_dict(model.state_dict())
    expected = plain(edge_index.as_tensor()[:, kept], weight[kept]).embedding
    torch.testing.assert_close(out, expected)
    with replay_draws([]):
        torch.testing.assert_close(model.eval()(edge_index), plain(edge_index))


def test_isolated_nodes_keep_their_embedding(model, edge_index):
    out = model(edge_index)
    torch.testing.assert_close(out.embedding[-1], model.item_embedding.weight[-1])
    assert (out.interaction_intent[-1] == 0).all()


def test_a_step_moves_every_parameter(model, edge_index):
    out = model(edge_index)
    (out.embedding.square().sum() + out.interaction_intent.square().sum()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


@pytest.mark.parametrize(
    'change',
    [{'num_users': 0}, {'num_layers': 0}, {'num_intents': -1}, {'edge_dropout': 1.0}],
)
def test_wrong_arguments(change):
    arguments = {'num_users': 3, 'num_items': 3, **change}
    (name,) = change
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        LightGCN(**arguments)


def test_prototypes_without_interaction_intents():
    torch.manual_seed(0)
    model = LightGCN(6, 7, 4, num_intents=3, interaction_intents=False)
    assert not model.has_intents
    edge_index = bipartite_edge_index(torch.tensor([[0, 1, 5], [0, 2, 6]]), 6, 7)
    output = model(edge_index)
    assert output.interaction_intent is None
    assert model.prototype_loss(output.embedding, torch.zeros(13).long()) > 0
