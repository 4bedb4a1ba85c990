r"""The sections of :mod:`benchmarks.gpu` that time propagation, evaluation and
sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import LightGCN as PyGLightGCN

from benchmarks import harness, sampling_eval
from benchmarks._gpu_measure import Row, Work, draw_rows, measure
from benchmarks._gpu_setting import Setting, amazon_graph, need
from benchmarks._gpu_store import Entry
from benchmarks.graphs import Interactions, long_tailed
from benchmarks.intent_propagate import less, same
from pyg_irllrec.nn import LightGCN
from pyg_irllrec.training import TripletLoader, evaluate
from pyg_irllrec.utils import UserItems, bipartite_edge_index, symmetric_norm

PROPAGATION, DATA = 'propagation', 'data'
# Peers that compute intent_propagate, and peers that only multiply by the matrix.
INTENTS = ('triton', 'csr', 'plain', 'plain, compiled', 'IntentLGConv, edge_index')
PRODUCTS = (
    'propagate',
    'EdgeIndex.matmul',
    'csr @ x',
    'LGConv, edge_index',
    'torch_sparse',
)
# Width, and peers to leave out. On 10^7 interactions the plain ones would need 30 GB.
CASES: dict[str, tuple[int, tuple[str, ...]]] = {
    'amazon d=32': (32, ()),
    'E=20000000 d=64': (64, ('plain', 'plain, compiled')),
}
LARGE = (600_000, 400_000, 10_000_000)
LARGE_TOY = (12, 8, 50)


def propagation_entries(setting: Setting) -> Iterator[Entry]:
    for case, (dim, without) in CASES.items():
        for impl in (*INTENTS, *PRODUCTS):
            if impl not in without:
                run = partial(time_layer, setting, case, dim, impl)
                yield Entry(PROPAGATION, case, impl, run)
    for impl in ('LightGCN', "PyG's LightGCN"):
        run = partial(_time_backbone, setting, impl)
        yield Entry(PROPAGATION, 'amazon d=32, 3 layers', impl, run)


@cache
def _interactions(large: bool, dry: bool) -> Interactions:
    if not large:
        return amazon_graph(dry)
    return long_tailed(*(LARGE_TOY if dry else LARGE))


@cache
def _graph(large: bool, setting: Setting) -> Any:
    pairs, *sizes = _interactions(large, setting.dry)
    return bipartite_edge_index(pairs.to(setting.device), *sizes)


def time_layer(setting: Setting, case: str, dim: int, impl: str) -> Row:
    if impl == 'triton':
        need('triton')
    if impl == 'torch_sparse':
        need('torch_sparse')
    large = case.startswith('E=')
    edge_index = _graph(large, setting)
    num_nodes = edge_index.num_rows
    inputs = [
        draw_rows(num_nodes, dim, setting.device, seed, torch.float32).requires_grad_()
        for seed in range(2 if impl in INTENTS else 1)
    ]
    upstream = draw_rows(num_nodes, dim, setting.device, 2, torch.float32)
    if impl in INTENTS:
        forward = same(impl, edge_index, 'eager' if setting.dry else 'inductor')
    else:
        forward = less(impl, edge_index, num_nodes)
    if setting.dry and impl.endswith('compiled'):
        _step(forward, inputs, upstream)  # Compile first: a dry run times one call.
        with torch.no_grad():
            forward(*inputs)
    # At least one row per edge, forward and backward.
    work = Work(bytes=2 * 4.0 * edge_index.size(1) * dim)
    row = measure(
        lambda: _step(forward, inputs, upstream), setting.device, work=work, most=30
    )
    with torch.no_grad():
        taken = measure(lambda: forward(*inputs), setting.device, seconds=0.2, most=20)
    row['forward_seconds'] = taken['seconds']
    if impl in INTENTS:
        values = _step(forward, inputs, upstream)
        wanted = _double(setting, case, dim)
        row['max_error'] = harness.max_relative_error(values, wanted)
    return row


def _step(
    forward: Callable[..., Tensor], inputs: list[Tensor], upstream: Tensor
) -> harness.Values:
    out = forward(*inputs)
    grads = torch.autograd.grad(out, inputs, upstream)
    return {'out': out.detach(), **dict(zip(('x', 'intent'), grads))}


@cache
def _double(setting: Setting, case: str, dim: int) -> harness.Values:
    edge_index = _graph(case.startswith('E='), setting)
    rows = [
        draw_rows(edge_index.num_rows, dim, setting.device, seed, torch.float32)
        for seed in range(3)
    ]
    x, intent, upstream = (value.double() for value in rows)
    inputs = [x.requires_grad_(), intent.requires_grad_()]
    return _step(same('csr', edge_index), inputs, upstream)


def _time_backbone(setting: Setting, impl: str) -> Row:
    """Time the embeddings of all nodes, forward and backward."""
    graph = _interactions(False, setting.dry)
    edge_index = _graph(False, setting)
    upstream = draw_rows(graph.num_nodes, 32, setting.device, 0, torch.float32)
    weight = symmetric_norm(edge_index, graph.num_nodes)
    if impl == 'LightGCN':
        own = LightGCN(graph.num_users, graph.num_items).to(setting.device)

        def embed() -> Tensor:
            return own.encode(own.node_features(), edge_index, weight).embedding

        weights = list(own.parameters())
    else:
        pyg = PyGLightGCN(graph.num_nodes, 32, 3).to(setting.device)
        plain = torch.stack([edge_index[0], edge_index[1]])

        def embed() -> Tensor:
            out: Tensor = pyg.get_embedding(plain)
            return out

        weights = list(pyg.parameters())
    return measure(
        lambda: torch.autograd.grad(embed(), weights, upstream, allow_unused=True),
        setting.device,
    )


def data_entries(setting: Setting) -> Iterator[Entry]:
    yield Entry(
        DATA, 'evaluation, 11 000 x 9 332', 'evaluate', partial(_evaluate, setting)
    )
    large = '10^7 interactions'
    yield Entry(DATA, large, 'epoch of triplets', partial(_time_epoch, setting))
    yield Entry(DATA, large, 'UserItems', partial(_time_items, setting))
    yield Entry(DATA, large, 'bipartite_edge_index', partial(_time_building, setting))


def _evaluate(setting: Setting) -> Row:
    sizes = sampling_eval.QUICK if setting.dry else sampling_eval.AMAZON
    train, test = (items.to(setting.device) for items in sampling_eval.drawn(*sizes))
    user, item = sampling_eval.embeddings(test)
    return measure(lambda: evaluate(user, item, test, train), setting.device)


@cache
def _user_items(setting: Setting) -> UserItems:
    pairs, *sizes = _interactions(True, setting.dry)
    return UserItems(pairs.to(setting.device), *sizes)


def _time_epoch(setting: Setting) -> Row:
    items = _user_items(setting)
    loader = TripletLoader(items, setting.pick(4096, 64))
    row = measure(lambda: sum(1 for _ in loader), setting.device, most=5)
    return row | {'triplets_per_second': items.item.numel() / row['seconds']}


def _time_items(setting: Setting) -> Row:
    pairs, *sizes = _interactions(True, setting.dry)
    pairs = pairs.to(setting.device)
    return measure(lambda: UserItems(pairs, *sizes), setting.device, most=5)


def _time_building(setting: Setting) -> Row:
    pairs, *sizes = _interactions(True, setting.dry)
    pairs = pairs.to(setting.device)
    return measure(lambda: bipartite_edge_index(pairs, *sizes), setting.device, most=5)
