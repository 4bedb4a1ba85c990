from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import LGConv

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.nn import IntentLGConv
from tests.adjacency import FORMATS, NUM_NODES, edges


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_gives_the_same_output_and_gradients(name):
    conv = IntentLGConv()
    assert str(conv) == 'IntentLGConv()'
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64, requires_grad=True)
    intent = torch.randn(NUM_NODES, 3, dtype=torch.float64, requires_grad=True)
    out = conv(x, adj, edge_weight, intent=intent)
    expected = conv(x, index, weight, intent=intent)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn_like(out)
    torch.testing.assert_close(
        torch.autograd.grad(out, (x, intent), upstream),
        torch.autograd.grad(expected, (x, intent), upstream),
    )


def test_goes_where_lg_conv_goes():
    index, _ = edges()
    x = torch.randn(NUM_NODES, 4)
    assert IntentLGConv()(x, index).shape == LGConv()(x, index).shape
    torch.testing.assert_close(IntentLGConv()(x, index), intent_propagate(x, x, index))
    assert list(IntentLGConv().parameters()) == []


def test_intents_that_agree_give_the_mean_of_neighbours():
    index, _ = edges()
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64)
    out = IntentLGConv()(x, index, intent=torch.ones_like(x))
    mean = torch.zeros_like(x).index_reduce(
        0, index[1], x[index[0]], 'mean', include_self=False
    )
    torch.testing.assert_close(out, mean)


def test_an_explainer_sees_the_messages_and_the_same_output():
    index, weight = edges()
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64)
    intent = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    conv = IntentLGConv()
    expected = conv(x, index, weight, intent=intent)
    conv.explain = True
    conv._edge_mask = torch.full((index.size(1),), 50.0, dtype=torch.float64)
    conv._loop_mask = torch.ones(index.size(1), dtype=torch.bool)
    conv._apply_sigmoid = True
    torch.testing.assert_close(conv(x, index, weight, intent=intent), expected)
    conv._edge_mask = torch.full((index.size(1),), -50.0, dtype=torch.float64)
    assert conv(x, index, weight, intent=intent).abs().max() < 1e-12


def test_compiles_without_graph_breaks():
    index, weight = edges()
    x = torch.randn(NUM_NODES, 4)
    conv = IntentLGConv()
    compiled = torch.compile(conv, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x, index, weight), conv(x, index, weight))


@pytest.mark.parametrize('change', [{'aggr': 'mean'}, {'flow': 'target_to_source'}])
def test_other_aggregations_are_refused(change):
    with pytest.raises(ValueError, match="'IntentLGConv' needs aggr='add'"):
        IntentLGConv(**change)
