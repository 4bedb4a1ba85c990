"""A toy benchmark with slow, fast, wrong and broken peers."""

from __future__ import annotations

import argparse

import torch

from benchmarks.harness import Case, Job, Peer, Values, main, parser, ratio, target

FACTOR = {'fast': 1.0 + 1e-7, 'wrong': 1.001, 'nan': float('nan')}


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    if impl == 'broken':
        raise ImportError('no such package')
    size = 30_000_000 if impl == 'slow' else 10

    def step() -> Values:
        total = torch.ones(size).sum() / size
        return {'total': total * FACTOR.get(impl, 1.0)}

    return Job(step)


def run(*words: str) -> int:
    options = parser('A test.')
    options.add_argument('--peers', nargs='+')
    args = options.parse_args(words)
    peers = [Peer(name, None if name == 'other' else 1e-5) for name in args.peers]

    def targets(rows: list[dict[str, object]]) -> list[str]:
        return [target('gain', ratio(rows, 'sum', 'slow', 'fast'), 2)]

    return main('test', prepare, [Case('sum', peers, repeats=3)], args, targets)
