r"""Time the intent-aware mean over neighbours, forward and backward.

    python -m benchmarks.intent_propagate --root DIR --json FILE

The graph is the authors' amazon (with --root, the folder of their datasets) or a random
one of its size. Peers that compute the same: the plain formula (index_select and
index_add, see plain.py), with and without torch.compile. Peers that compute less, for
comparison: a product with a CSR matrix through autograd, PyG's LGConv and EdgeIndex,
torch_sparse, and the propagate function of this package. Takes about 5 minutes on two
cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import LGConv

from benchmarks import harness, plain
from benchmarks.graphs import amazon
from benchmarks.harness import Case, Job, Peer, Values
from pyg_irllrec.functional import intent_propagate, propagate
from pyg_irllrec.nn import IntentLGConv
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm
from pyg_irllrec.utils.adjacency import narrow_ids, source_and_target

SAME = ('plain', 'plain, compiled', 'csr', 'triton', 'IntentLGConv, edge_index')
DIMS = {'amazon d=32': 32, 'amazon d=64': 64, 'quick d=8': 8}


def cases(args: argparse.Namespace) -> list[Case]:
    fused = [Peer('triton')] if args.device == 'cuda' else []
    peers = [
        Peer('plain'),
        Peer('plain, compiled'),
        Peer('csr'),
        Peer('IntentLGConv, edge_index'),
        *fused,
        *(
            Peer(name, None)
            for name in (
                'csr @ x',
                'EdgeIndex.matmul',
                'LGConv, edge_index',
                'torch_sparse',
                'propagate',
            )
        ),
    ]
    names = ['quick d=8'] if args.quick else ['amazon d=32', 'amazon d=64']
    return [Case(name, peers, 3 if args.quick else 21) for name in names]


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    graph = amazon(args.root, 0.02 if args.quick else 1.0)
    num_nodes, dim = graph.num_nodes, DIMS[case]
    edge_index = bipartite_edge_index(*graph).to(device)
    generator = torch.Generator().manual_seed(0)
    x, intent, upstream = (
        torch.randn(num_nodes, dim, generator=generator).to(device) for _ in range(3)
    )
    x.requires_grad_()
    intent.requires_grad_()
    if impl in SAME:
        forward = same(impl, edge_index)
        inputs = {'x': x, 'intent': intent}
    else:
        forward = less(impl, edge_index, num_nodes)
        inputs = {'x': x}

    def step() -> Values:
        out = forward(*inputs.values())
        gradients = torch.autograd.grad(out, list(inputs.values()), upstream)
        return {'out': out, **dict(zip(inputs, gradients))}

    # For each edge, forward reads a row of x and of the intents. Backward reads both
    # again and a row of the upstream gradient.
    traffic = 5.0 * edge_index.size(1) * dim * 4
    return Job(step, bytes=traffic if impl == 'triton' else 0.0)


def same(
    impl: str, edge_index: Tensor, backend: str = 'inductor'
) -> Callable[..., Tensor]:
    """The forward function of a peer that computes the same as the plain formula."""
    if impl == 'IntentLGConv, edge_index':
        conv, index = IntentLGConv(), torch.stack(source_and_target(edge_index))
        return lambda x, intent: conv(x, index, intent=intent)
    if impl.startswith('plain'):
        source, target = (ids.contiguous() for ids in source_and_target(edge_index))

        def formula(x: Tensor, intent: Tensor) -> Tensor:
            return plain.intent_propagate(x, intent, source, target)

        if impl.endswith('compiled'):
            return torch.compile(formula, backend=backend)
        return formula
    graph = narrow_ids(edge_index)
    return lambda x, intent: intent_propagate(x, intent, graph, impl=impl)


def less(impl: str, edge_index: Tensor, num_nodes: int) -> Callable[[Tensor], Tensor]:
    """The forward function of a peer that only multiplies by the normalised adjacency
    matrix."""
    weight = symmetric_norm(edge_index, num_nodes)
    source, target = source_and_target(edge_index)
    size = (num_nodes, num_nodes)
    if impl == 'csr @ x':
        index = torch.stack([target, source])
        adj = torch.sparse_coo_tensor(index, weight, size).coalesce().to_sparse_csr()
        return lambda x: adj @ x
    if impl == 'EdgeIndex.matmul':
        return lambda x: edge_index.matmul(x, weight, transpose=True)
    if impl == 'LGConv, edge_index':
        conv, index = LGConv(normalize=False), torch.stack([source, target])
        return lambda x: conv(x, index, weight)
    if impl == 'torch_sparse':
        from torch_sparse import SparseTensor

        adj_t = SparseTensor(row=target, col=source, value=weight, sparse_sizes=size)
        return lambda x: adj_t.matmul(x)
    graph = narrow_ids(edge_index)
    return lambda x: propagate(x, graph, weight)


def targets(rows: list[dict[str, Any]]) -> list[str]:
    case = 'amazon d=32'
    over_plain = harness.ratio(rows, case, 'plain', 'csr')
    of_product = harness.ratio(rows, case, 'csr @ x', 'csr')
    return [
        harness.target('speedup of csr over plain', over_plain, 18),
        harness.target('time of csr @ x / csr', of_product, 1 / 1.2),
    ]


if __name__ == '__main__':
    parser = harness.parser(__doc__)
    parser.add_argument(
        '--root', type=Path, metavar='DIR', help="folder of the authors' datasets"
    )
    arguments = parser.parse_args()
    sys.exit(
        harness.main('intent_propagate', prepare, cases(arguments), arguments, targets)
    )
