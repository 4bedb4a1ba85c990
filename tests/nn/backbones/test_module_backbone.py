from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GCN, GraphSAGE, HeteroConv, SAGEConv, to_hetero
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_irllrec.nn import LightGCN, ModuleBackbone, Recommender
from pyg_irllrec.testing import BackboneTests


class TestGraphSAGE(BackboneTests):
    resets = False

    def build(self, num_users, num_items, embedding_dim):
        module = GraphSAGE(3, 8, 2, embedding_dim)
        return ModuleBackbone(
            module, num_users, num_items, embedding_dim, in_channels=3, num_intents=3
        )


class TestPyGLightGCN(BackboneTests):
    resets = False
    test_compile = None  # Covered by TestGraphSAGE.

    def build(self, num_users, num_items, embedding_dim):
        module = PyGLightGCN(num_users + num_items, embedding_dim, 2)
        return ModuleBackbone(
            module,
            num_users,
            num_items,
            embedding_dim,
            in_channels=0,
            method='get_embedding',
        )


class TestHetero(BackboneTests):
    compiles, resets = False, False

    def build(self, num_users, num_items, embedding_dim):
        sage = GraphSAGE(embedding_dim, 8, 2, embedding_dim)
        module = to_hetero(sage, ModuleBackbone.metadata)
        return ModuleBackbone(
            module, num_users, num_items, embedding_dim, num_intents=3, hetero=True
        )


GRAPH = BackboneTests().edge_index


def test_weights_are_those_of_the_graph():
    module = GCN(4, 4, 1, normalize=False, bias=False)
    torch.nn.init.eye_(module.convs[0].lin.weight)
    backbone = ModuleBackbone(module, 6, 7, 4, weighted=True)
    plain = LightGCN(6, 7, 4, num_layers=1)
    x = backbone.node_features()
    expected = plain(GRAPH, x=x).embedding - x
    torch.testing.assert_close(backbone(GRAPH).embedding, expected)


def test_node_types_are_separated():
    sage = GraphSAGE(4, 4, 1, aggr='sum', root_weight=False, bias=False)
    module = to_hetero(sage, ModuleBackbone.metadata)
    for weight in module.parameters():
        torch.nn.init.eye_(weight)
    backbone = ModuleBackbone(module, 6, 7, 4, hetero=True)
    x = backbone.node_features()
    source, target = GRAPH.as_tensor()
    expected = torch.zeros_like(x).index_add(0, target, x[source])
    torch.testing.assert_close(backbone(GRAPH).embedding, expected)


def test_the_wrong_width():
    backbone = ModuleBackbone(GraphSAGE(4, 8, 1, 5), 6, 7, 4, num_intents=2)
    message = r"'backbone' must return embeddings of shape \(13, 4\).*got \(13, 5\)"
    with pytest.raises(ValueError, match=message):
        Recommender(backbone, GRAPH).loss(BackboneTests.triplets)
    with pytest.raises(ValueError, match=message):
        Recommender(backbone, GRAPH).get_embeddings()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'method': 'embed_all'}, "'method' must name a method of GraphSAGE"),
        ({'hetero': True, 'weighted': True}, 'hetero=True needs in_channels above 0'),
        ({'in_channels': -1}, "'in_channels' must be an integer of at least 0"),
        ({'num_intents': -1}, "'num_intents' must be an integer of at least 0, got -1"),
        (
            {'method': 'reset_parameters'},
            r'accept the call reset_parameters\(x, edge_index\), got .* too many',
        ),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        ModuleBackbone(GraphSAGE(4, 4, 1), 6, 7, 4, **change)


def test_hooks_of_the_module_run():
    module = GraphSAGE(4, 4, 1)
    seen = []
    module.register_forward_hook(lambda *args: seen.append(1))
    ModuleBackbone(module, 6, 7, 4)(GRAPH)
    assert seen == [1]


def test_lazy_modules_learn_their_sizes():
    backbone = ModuleBackbone(GraphSAGE(-1, 4, 2), 6, 7, 4)
    model = Recommender(backbone, GRAPH)
    model.loss(BackboneTests.triplets).total.backward()
    assert model.training


def test_a_hetero_module_that_leaves_out_a_type():
    rates = ModuleBackbone.metadata[1][0]
    module = HeteroConv({rates: SAGEConv(4, 4)})
    with pytest.raises(ValueError, match=r"keys 'user' and 'item', got \['item'\]"):
        ModuleBackbone(module, 6, 7, 4, hetero=True)(GRAPH)


def test_a_function_is_no_module():
    with pytest.raises(ValueError, match=r'must be a torch\.nn\.Module, got function'):
        ModuleBackbone(lambda x, edge_index: x, 6, 7, 4)


@pytest.mark.parametrize('weighted', [False, True])
def test_the_graph_as_a_csr_matrix(weighted):
    module = GCN(4, 4, 2, normalize=False)
    plain, csr = (
        ModuleBackbone(module, 6, 7, 4, weighted=weighted, layout=layout)
        for layout in ('edge_index', 'csr')
    )
    csr.load_state_dict(plain.state_dict())
    model = Recommender(csr, GRAPH)
    torch.testing.assert_close(
        torch.cat(model.get_embeddings()),
        torch.cat(Recommender(plain, GRAPH).get_embeddings()),
    )
    model.loss(BackboneTests.triplets).total.backward()
    with torch.inference_mode():
        model.get_embeddings()


def test_a_weighted_csr_matrix_needs_no_edge_weight():
    class Product(torch.nn.Module):
        def forward(self, x, adj):
            return adj @ x

    backbone = ModuleBackbone(Product(), 6, 7, 4, weighted=True, layout='csr')
    assert backbone(GRAPH).embedding.shape == (13, 4)


def test_edges_within_a_type_are_not_dropped_silently():
    sage = to_hetero(GraphSAGE(4, 4, 1), ModuleBackbone.metadata)
    backbone = ModuleBackbone(sage, 6, 7, 4, hetero=True)
    social = torch.tensor([[0, 6, 0, 1], [6, 0, 1, 0]])
    with pytest.raises(ValueError, match="'edge_index' must connect users with items"):
        backbone(social)


def test_reset_parameters_restores_what_is_added_then_resets_the_module():
    module = GraphSAGE(4, 4, 1)
    before = module.convs[0].lin_l.weight.clone()
    torch.manual_seed(0)
    new = ModuleBackbone(module, 6, 7, 4, num_intents=2)
    added = {
        name: value.clone()
        for name, value in new.state_dict().items()
        if not name.startswith('module.')
    }
    assert len(added) == 3
    torch.manual_seed(0)
    new.reset_parameters()
    for name, value in added.items():
        assert torch.equal(new.state_dict()[name], value), name
    assert not torch.equal(module.convs[0].lin_l.weight, before)


def test_prints_what_it_was_given():
    backbone = ModuleBackbone(GraphSAGE(3, 4, 2), 6, 7, 4, in_channels=3, weighted=True)
    shown = str(backbone)
    assert 'num_users=6, num_items=7, embedding_dim=4, in_channels=3' in shown
    assert (
        'weighted=True' in shown and '(module): GraphSAGE(3, 4, num_layers=2)' in shown
    )
