r"""Time a whole training step of the full method: loss, gradients and Adam.

    python -m benchmarks.train_step --root DIR --json FILE

The graph is the authors' amazon (with --root, the folder of their datasets) or a random
one of its size. A step has 4096 triplets; text vectors are random, 1536 or 384 wide.
Peers: the plain step (all logits, gathered edges and towers over all nodes, as in the
authors' code, see plain.py); ours, exact; ours with the translation term by moments;
both in bfloat16; and, as a lower bound, the text towers alone. Takes about 5 minutes on
two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import harness
from benchmarks.graphs import amazon
from benchmarks.harness import Case, Job, Peer, Values
from benchmarks.plain import PlainIRLLRec, PlainLightGCN, plain_losses
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.training import TripletLoader
from pyg_irllrec.utils import UserItems, bipartite_edge_index

WIDTHS = {'text 1536': 1536, 'text 384': 384, 'quick': 16}


def cases(args: argparse.Namespace) -> list[Case]:
    peers = [
        Peer('plain'),
        Peer('exact'),
        Peer('moments', 3e-2),
        Peer('exact, bfloat16', None),
        Peer('moments, bfloat16', None),
        Peer('towers alone', None),
    ]
    if args.device == 'cuda':
        peers.insert(2, Peer('triton'))
    names = ['quick'] if args.quick else ['text 1536', 'text 384']
    return [Case(name, peers, 2 if args.quick else 5) for name in names]


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    graph = amazon(args.root, 0.02 if args.quick else 1.0)
    width = WIDTHS[case]
    generator = torch.Generator().manual_seed(0)
    texts = {
        kind: torch.randn(graph.num_nodes, width, generator=generator)
        for kind in ('profile', 'intent')
    }
    way, _, dtype = impl.partition(', ')
    kernels = {
        'plain': ('auto', 'eager', 'eager'),
        'triton': ('triton', 'triton', 'triton'),
        'moments': ('auto', 'auto', 'moments'),
    }.get(way, ('auto', 'auto', 'auto'))
    backbone = (PlainLightGCN if impl == 'plain' else LightGCN)(
        graph.num_users, graph.num_items, num_intents=128, impl=kernels[0]
    )
    model = (PlainIRLLRec if impl in ('plain', 'towers alone') else IRLLRec)(
        backbone,
        bipartite_edge_index(*graph),
        alignment=IntentAlignmentLoss(impl=kernels[1], translation_impl=kernels[2]),
        **texts,
    ).to(device)
    if impl == 'towers alone':
        return Job(towers(model))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    items = UserItems(graph.pairs, graph.num_users, graph.num_items)
    triplets = next(iter(TripletLoader(items, 64 if args.quick else 4096))).to(device)

    def step() -> Values:
        torch.manual_seed(0)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=dtype == 'bfloat16'):
            loss = model.loss(triplets).total
        loss.backward()
        optimizer.step()
        return {'loss': loss.detach()}

    def first_step() -> Values:
        """Return the gradients, too, before the weights change."""
        torch.manual_seed(0)
        model.zero_grad()
        loss = model.loss(triplets, update_teacher=False).total
        names, weights = zip(*model.named_parameters())
        return {'loss': loss, **dict(zip(names, torch.autograd.grad(loss, weights)))}

    turns = once(first_step, step)
    return Job(plain_losses()(turns) if impl == 'plain' else turns)


def once(
    first: Callable[[], Values], then: Callable[[], Values]
) -> Callable[[], Values]:
    """A step whose first turn, which is compared, differs from the timed ones."""
    turns = iter([first])
    return lambda: next(turns, then)()


def towers(model: IRLLRec) -> Callable[[], Values]:
    """Forward and backward of both text towers, and forward of the teacher."""
    assert model.profile_projector is not None and model.intent_projector is not None

    def step() -> Values:
        profile = model.profile_projector(model.profile)
        intent = model.intent_projector(model.intent)
        teacher = model.intent_projector.teach(model.intent)
        weights = [
            *model.profile_projector.parameters(),
            *model.intent_projector.parameters(),
        ]
        torch.autograd.grad((profile.sum() + intent.sum()), weights)
        return {'teacher': teacher[:1]}

    return step


def targets(rows: list[dict[str, Any]]) -> list[str]:
    def at(case: str, slow: str, fast: str) -> float | None:
        return harness.ratio(rows, case, slow, fast)

    peak = {row['impl']: row['peak_mb'] for row in rows if row['case'] == 'text 1536'}
    memory = (
        peak['plain'] / peak['exact'] if peak.keys() >= {'plain', 'exact'} else None
    )
    return [
        harness.target(
            'speedup of exact, text 1536', at('text 1536', 'plain', 'exact'), 6
        ),
        harness.target(
            'time of towers alone / moments, text 1536',
            at('text 1536', 'towers alone', 'moments'),
            1 / 1.35,
        ),
        harness.target('peak memory of plain / exact, text 1536', memory, 5),
        harness.target(
            'speedup of exact, text 384', at('text 384', 'plain', 'exact'), 12
        ),
        harness.target(
            'speedup of moments, text 384', at('text 384', 'plain', 'moments'), 12
        ),
    ]


if __name__ == '__main__':
    parser = harness.parser(__doc__)
    parser.add_argument(
        '--root', type=Path, metavar='DIR', help="folder of the authors' datasets"
    )
    arguments = parser.parse_args()
    sys.exit(harness.main('train_step', prepare, cases(arguments), arguments, targets))
