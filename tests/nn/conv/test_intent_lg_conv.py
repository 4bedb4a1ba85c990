from __future__ import annotations

import inspect
from functools import partial

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import HeteroConv, LGConv, MaxAggregation, to_hetero
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.nn import IntentLGConv, LightGCN
from pyg_irllrec.utils import bipartite_edge_index
from tests.adjacency import FORMATS, NUM_NODES, edges

NUM_SOURCES, NUM_TARGETS = 6, 4


@pytest.fixture
def nodes():
    """Features and intents."""
    return (
        torch.randn(NUM_NODES, 4, dtype=torch.float64),
        torch.randn(NUM_NODES, 3, dtype=torch.float64),
    )


@pytest.fixture
def block():
    """Features and intents of sources and targets, edges and edge weights."""
    x = torch.randn(NUM_SOURCES, 4).double(), torch.randn(NUM_TARGETS, 2).double()
    h = torch.randn(NUM_SOURCES, 3).double(), torch.randn(NUM_TARGETS, 3).double()
    index = torch.tensor([[0, 5, 2, 5, 1, 0, 4], [3, 0, 0, 1, 1, 0, 3]])
    return x, h, index, torch.rand(index.size(1), dtype=torch.float64)


def through_messages(conv, *arguments, **others):
    """The output by propagate(), which a hook enforces."""
    handle = conv.register_message_forward_hook(lambda *_: None)
    out = conv(*arguments, **others)
    handle.remove()
    return out


def as_bipartite(name, index, weight):
    """The edges of a block in one format of PyG."""
    size = (NUM_TARGETS, NUM_SOURCES)
    coo = torch.sparse_coo_tensor(index.flip(0), weight, size).coalesce()
    return {
        'edge_index': lambda: (index, weight),
        'EdgeIndex': lambda: (EdgeIndex(index, sparse_size=size[::-1]), weight),
        'torch_coo': lambda: (coo, None),
        'torch_csr': lambda: (coo.to_sparse_csr(), None),
        'torch_csc': lambda: (coo.to_sparse_csc(), None),
        'SparseTensor': lambda: (
            SparseTensor(row=index[1], col=index[0], value=weight, sparse_sizes=size),
            None,
        ),
    }[name]()


def test_is_a_layer_without_parameters():
    conv = IntentLGConv()
    assert str(conv) == 'IntentLGConv()'
    assert str(IntentLGConv('csr')) == "IntentLGConv(impl='csr')"
    assert list(conv.parameters()) == []
    assert list(inspect.signature(IntentLGConv).parameters) == ['impl']
    conv.reset_parameters()


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_gives_the_same_output_and_gradients(name, nodes):
    conv = IntentLGConv()
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    x, intent = (value.requires_grad_() for value in nodes)
    upstream = torch.randn_like(x)
    expected = conv(x, index, weight, intent=intent)
    gradients = torch.autograd.grad(expected, nodes, upstream)
    for out in (
        conv(x, adj, edge_weight, intent=intent),
        conv(x, adj, edge_weight, intent=intent, size=(NUM_NODES, NUM_NODES)),
        through_messages(conv, x, adj, edge_weight, intent=intent),
    ):
        torch.testing.assert_close(out, expected)
        grads = torch.autograd.grad(out, nodes, upstream)
        torch.testing.assert_close(grads, gradients)


@pytest.mark.parametrize(
    'name',
    ['edge_index', 'EdgeIndex', 'torch_coo', 'torch_csr', 'torch_csc']
    + ['SparseTensor'] * WITH_TORCH_SPARSE,
)
def test_every_format_of_a_bipartite_graph(name, block):
    x, h, index, weight = block
    conv = IntentLGConv()
    adj, edge_weight = as_bipartite(name, index, weight)
    expected = torch.zeros(NUM_TARGETS, 4, dtype=torch.float64)
    for target in range(NUM_TARGETS):
        into = index[1] == target
        source = index[0, into]
        alpha = torch.cosine_similarity(h[0][source], h[1][target : target + 1]) + 1
        alpha = (alpha * weight[into]).unsqueeze(1)
        if len(source):
            expected[target] = (alpha * x[0][source]).sum(0) / alpha.sum()
    size = (NUM_SOURCES, NUM_TARGETS)
    for out in (
        conv(x, adj, edge_weight, h),
        conv(x, adj, edge_weight, h, size=size),
        conv((x[0], None), adj, edge_weight, h),
        conv((x[0], None), adj, edge_weight, h, size=size),
        IntentLGConv('eager')(x, adj, edge_weight, h),
        through_messages(conv, x, adj, edge_weight, h),
        through_messages(conv, (x[0], None), adj, edge_weight, h, size=size),
    ):
        torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)


def test_the_block_of_a_neighbour_loader(nodes):
    """Targets are the first sources, as in the batches of NeighborLoader."""
    x, _ = nodes
    index, _ = edges()
    seeds = index[:, index[1] < 3]
    whole = IntentLGConv()(x, index)
    out = IntentLGConv()((x, x[:3]), seeds)
    torch.testing.assert_close(out, whole[:3])


@pytest.mark.parametrize('impl', ['auto', 'eager'])
@pytest.mark.parametrize(('num_sources', 'num_targets'), [(3, 0), (0, 3), (0, 0)])
def test_a_side_without_nodes(impl, num_sources, num_targets):
    none = torch.empty(2, 0, dtype=torch.long)
    x = (
        torch.randn(num_sources, 4, requires_grad=True),
        torch.randn(num_targets, 4, requires_grad=True),
    )
    conv = IntentLGConv(impl)
    for out in (conv(x, none), through_messages(conv, x, none)):
        assert out.shape == (num_targets, 4) and (out == 0).all()
        out.sum().backward()
    assert IntentLGConv(impl)(torch.randn(0, 4), none).shape == (0, 4)
    adj = torch.empty(num_targets, num_sources).to_sparse_csr()
    assert conv(x, adj).shape == (num_targets, 4)


def test_gradients_of_a_bipartite_graph(block):
    x, h, index, weight = block
    leaves = [value.requires_grad_() for value in (x[0], *h, weight)]
    assert torch.autograd.gradcheck(
        lambda source, a, b, w: IntentLGConv()((source, None), index, w, (a, b)),
        leaves,
    )


def test_runs_inside_hetero_conv(block):
    x, h, index, _ = block
    conv = HeteroConv(
        {
            ('item', 'to', 'user'): IntentLGConv(),
            ('user', 'to', 'item'): IntentLGConv(),
            ('item', 'like', 'item'): IntentLGConv(),
        }
    )
    edge_index_dict = {
        ('item', 'to', 'user'): index,
        ('user', 'to', 'item'): index.flip(0),
        ('item', 'like', 'item'): index.clamp(max=3),
    }
    wide = {'item': x[0], 'user': torch.randn(NUM_TARGETS, 4).double()}
    out = conv(wide, edge_index_dict, intent_dict={'item': h[0], 'user': h[1]})
    torch.testing.assert_close(out['user'], IntentLGConv()(x, index, None, h))
    assert out['item'].shape == (NUM_SOURCES, 4)


def test_runs_after_to_hetero():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = IntentLGConv(), IntentLGConv()

        def forward(self, x, edge_index):
            return self.second(self.first(x, edge_index).relu(), edge_index)

    types = [('u', 'to', 'i'), ('i', 'to', 'u'), ('i', 'like', 'i')]
    model = to_hetero(Two(), (['u', 'i'], types))
    index = torch.tensor([[0, 1, 2, 3], [2, 1, 0, 0]])
    x = {'u': torch.randn(4, 8), 'i': torch.randn(5, 8)}
    out = model(x, {kind: index for kind in types})
    assert out['u'].shape == (4, 8) and out['i'].shape == (5, 8)


class Doubled(IntentLGConv):
    def message(self, x_j, alpha):
        return 2 * super().message(x_j, alpha)


class Shifted(IntentLGConv):
    def update(self, inputs):
        return inputs + 1


class Largest(IntentLGConv):
    def aggregate(self, inputs, index, dim_size):
        return inputs.new_zeros(dim_size, inputs.size(1)).index_reduce(
            0, index, inputs, 'amax', include_self=False
        )


class Alike(IntentLGConv):
    def edge_update(self, edge_weight, index):
        return torch.ones(index.size(0))


class Products(IntentLGConv):
    def message_and_aggregate(self, adj_t, x):
        return -(adj_t @ x[0])


class Weighted(IntentLGConv):
    def message(self, x_j, alpha, edge_weight, intent_i, intent_j):
        return (edge_weight * (intent_i - intent_j).sum(1)).unsqueeze(1) * x_j


class Negated(IntentLGConv):
    def propagate(self, edge_index, size=None, **kwargs):
        return -super().propagate(edge_index, size=size, **kwargs)


class Forgetful(IntentLGConv):
    def edge_updater(self, edge_index, size=None, **kwargs):
        return torch.zeros(edge_index.size(1))


@pytest.mark.parametrize(
    'own', [Weighted, Negated, Forgetful, Doubled, Shifted, Largest, Alike, Products]
)
def test_a_step_that_a_subclass_overrides_is_run(own, nodes):
    x, intent = nodes
    index, weight = edges()
    plain = IntentLGConv()(x, index, weight, intent)
    alpha = IntentLGConv().edge_update(
        intent[index[1]], intent[index[0]], weight, index[1], NUM_NODES
    )
    messages = alpha.unsqueeze(1) * x[index[0]]
    csr, _ = FORMATS['torch_csr'](index, weight)
    sums = torch.zeros_like(x)
    expected = {
        Weighted: sums.index_add(
            0,
            index[1],
            (weight * (intent[index[1]] - intent[index[0]]).sum(1)).unsqueeze(1)
            * x[index[0]],
        ),
        Negated: -plain,
        Forgetful: sums,
        Doubled: plain * 2,
        Shifted: plain + 1,
        Largest: sums.index_reduce(0, index[1], messages, 'amax', include_self=False),
        Alike: sums.index_add(0, index[1], x[index[0]]),
        Products: -(csr @ x),
    }[own]
    if own is Products:
        index, weight = csr, None
    torch.testing.assert_close(own()(x, index, weight, intent), expected)


def test_a_method_of_one_layer_is_run(nodes):
    x, _ = nodes
    index, _ = edges()
    conv = IntentLGConv()
    conv.message = lambda x_j, alpha: 2 * alpha.unsqueeze(-1) * x_j
    assert conv.is_customised()
    torch.testing.assert_close(conv(x, index), 2 * IntentLGConv()(x, index))


@pytest.mark.usefixtures('fresh_compiler')
def test_a_method_of_one_layer_is_run_when_it_is_compiled(nodes):
    x, _ = nodes
    index, _ = edges()
    conv = IntentLGConv()
    conv.message = lambda x_j, alpha: 2 * alpha.unsqueeze(-1) * x_j
    compiled = torch.compile(conv, backend='aot_eager')
    torch.testing.assert_close(compiled(x, index), 2 * IntentLGConv()(x, index))


def test_a_message_set_on_the_class_later_is_run(nodes, monkeypatch):
    x, _ = nodes
    index, _ = edges()
    conv, expected = IntentLGConv(), IntentLGConv()(x, index)
    monkeypatch.setattr(
        IntentLGConv, 'message', lambda self, x_j, alpha: 2 * alpha.unsqueeze(-1) * x_j
    )
    torch.testing.assert_close(conv(x, index), 2 * expected)


def test_another_aggregation_is_run(nodes):
    x, intent = nodes
    index, _ = edges()
    conv = IntentLGConv()
    expected = Largest()(x, index, intent=intent)
    conv.aggr_module = MaxAggregation()
    assert conv.is_customised()
    torch.testing.assert_close(conv(x, index, intent=intent), expected)
    conv, calls = IntentLGConv(), []
    conv.aggr_module.register_forward_hook(lambda *_: calls.append(1))
    conv(x, index)
    assert calls == [1]


def test_the_other_flow_is_run(nodes):
    x, intent = nodes
    index, weight = edges()
    conv = IntentLGConv()
    conv.flow = 'target_to_source'
    expected = IntentLGConv()(x, index.flip(0), weight, intent)
    torch.testing.assert_close(conv(x, index, weight, intent), expected)
    csr, _ = FORMATS['torch_csr'](index, weight)
    with pytest.raises(ValueError, match="flow='target_to_source', got a sparse"):
        conv(x, csr, intent=intent)


def test_an_explainer_leaves_a_layer_as_it_was(nodes):
    x, _ = nodes
    index, _ = edges()
    conv = IntentLGConv()
    conv.explain = True
    conv.explain = False
    assert not conv._reads_messages()
    torch.testing.assert_close(conv(x, index), IntentLGConv()(x, index))


@pytest.mark.parametrize(
    'name',
    [
        'propagate_forward_pre',
        'propagate_forward',
        'message_forward_pre',
        'message_forward',
        'aggregate_forward_pre',
        'aggregate_forward',
        'edge_update_forward_pre',
        'edge_update_forward',
    ],
)
def test_hooks_are_run(name, block, nodes):
    x, h, index, weight = block
    conv, calls = IntentLGConv(), []
    expected = conv(x, index, weight, h)
    handle = getattr(conv, f'register_{name}_hook')(lambda *_: calls.append(name))
    torch.testing.assert_close(conv(x, index, weight, h), expected)
    conv(nodes[0], edges()[0])
    assert calls == [name] * 2
    handle.remove()
    conv(x, index, weight, h)
    assert calls == [name] * 2


@pytest.mark.parametrize('bipartite', [False, True])
def test_an_explainer_sees_the_messages_and_the_same_output(bipartite, nodes, block):
    index, weight = edges()
    x, intent = nodes
    if bipartite:
        x, intent, index, weight = block
    conv = IntentLGConv()
    expected = conv(x, index, weight, intent=intent)
    conv.explain = True
    conv._edge_mask = torch.full((index.size(1),), 50.0, dtype=torch.float64)
    conv._loop_mask = torch.ones(index.size(1), dtype=torch.bool)
    conv._apply_sigmoid = True
    torch.testing.assert_close(conv(x, index, weight, intent=intent), expected)
    conv._edge_mask = torch.full((index.size(1),), -50.0, dtype=torch.float64)
    assert conv(x, index, weight, intent=intent).abs().max() < 1e-12


def test_a_backbone_runs_the_hooks_of_its_layer():
    graph = bipartite_edge_index(torch.tensor([[0, 1, 2], [1, 0, 0]]), 3, 2)
    backbone = LightGCN(3, 2, 4, num_layers=2, num_intents=2)
    expected = backbone(graph).interaction_intent
    conv, calls = backbone.intent_conv, []
    for register in (
        conv.register_forward_hook,
        conv.register_forward_pre_hook,
        conv.register_message_forward_hook,
    ):
        handle = register(lambda *_: calls.append(1))
        torch.testing.assert_close(backbone(graph).interaction_intent, expected)
        handle.remove()
        assert calls == [1] * 2
        calls.clear()


def test_replaces_lg_conv():
    index, _ = edges()
    x = torch.randn(NUM_NODES, 4)
    assert IntentLGConv()(x, index).shape == LGConv()(x, index).shape
    torch.testing.assert_close(IntentLGConv()(x, index), intent_propagate(x, x, index))


def test_intents_that_agree_give_the_mean_of_neighbours(nodes):
    x, _ = nodes
    index, _ = edges()
    out = IntentLGConv()(x, index, intent=torch.ones_like(x))
    mean = torch.zeros_like(x).index_reduce(
        0, index[1], x[index[0]], 'mean', include_self=False
    )
    torch.testing.assert_close(out, mean)


@pytest.mark.usefixtures('fresh_compiler')
@pytest.mark.parametrize('bipartite', [False, True])
def test_compiles_without_graph_breaks(bipartite, nodes, block):
    index, weight = edges()
    x, intent = nodes
    if bipartite:
        x, intent, index, weight = block
    conv = IntentLGConv()
    compiled = torch.compile(conv, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(
        compiled(x, index, weight, intent), conv(x, index, weight, intent)
    )


X, H = torch.randn(9, 4), torch.randn(9, 3)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'x': torch.randn(9)}, "'x' must be a matrix"),
        ({'intent': H[:5]}, "'intent' must have a row per node, 9 rows, got 5"),
        (
            {'intent': (H, H)},
            "'intent' must be a tensor if 'x' is one, got tuple",
        ),
        ({'size': (9, 8)}, r"'size' must be .*, \(9, 9\), got \(9, 8\)"),
        ({'size': (9, 9, 9)}, r"'size' must be the pair .*, got \(9, 9, 9\)"),
        ({'size': 9}, r"'size' must be the pair \(9, 9\), .* got 9"),
        ({'x': (X, X, X)}, "'x' must be a pair of tensors.* got 3"),
        ({'x': (X, X), 'intent': H}, "'intent' must be a pair of tensors.* got Tensor"),
        ({'x': (X, None)}, r"'x\[1\]' must be a tensor .*, got None.*intent=\(h_src"),
        (
            {'x': (X, None), 'intent': (H, None)},
            r"'intent\[1\]' must be a tensor with one row per target",
        ),
        (
            {'x': (X, X), 'intent': (H[:4], H)},
            r"'intent\[0\]' must have a row per",
        ),
        ({'x': (X, X[:3]), 'intent': (H, H)}, r"'x\[1\]' must have a row per target"),
        ({'x': (X, X), 'intent': (H, H.long())}, r"'intent\[1\]' must hold floating-"),
        ({'x': (X.long(), X)}, r"'x\[0\]' must hold floating-point numbers"),
        ({'x': (X, X.long())}, r"'x\[1\]' must hold floating-point numbers"),
        (
            {'x': (X, H)},
            "'x' must have as many columns .*, got 4 and 3",
        ),
        ({'x': (X, X), 'size': (9, 8)}, r"'size' must be .*, \(9, 9\), got \(9, 8\)"),
        (
            {'x': (X, X[:5])},
            r'\[1\] \(targets\).* hold ids from 0 to 4, got.* to 7',
        ),
        ({'x': (X[:5], X)}, r'\[0\] \(sources\).* must hold ids from 0 to 4'),
        (
            {'x': (X, X[:5]), 'edge_index': torch.eye(9).to_sparse_csr()},
            r"'edge_index' must have a row per .*, \(9, 5\).*, got \(9, 9\)",
        ),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {'x': X, 'edge_index': edges()[0], **change}
    with pytest.raises(ValueError, match=message):
        IntentLGConv()(**arguments)


@pytest.mark.parametrize('impl', ['auto', 'eager', 'messages'])
def test_ids_and_sizes_are_checked(impl):
    conv = IntentLGConv('auto' if impl == 'messages' else impl)
    call = partial(through_messages, conv) if impl == 'messages' else conv
    for wrong in (edges()[0] - 1, edges()[0] + 2):
        with pytest.raises(ValueError, match='must hold ids from 0 to 8, got ids from'):
            call(X, wrong)
        with pytest.raises(
            ValueError, match=r'\(sources\).* from 0 to 8, got ids from'
        ):
            call((X, X), wrong)
    with pytest.raises(ValueError, match=r'\(9, 9\) .*, got \(20, 20\)'):
        call(X, torch.eye(20).to_sparse_csr())
