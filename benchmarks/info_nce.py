r"""Time all implementations of info_nce, forward and backward.

    python -m benchmarks.info_nce --json FILE
    python -m benchmarks.info_nce --device cuda --json FILE

Peers: the plain formula (see plain.py), with and without torch.compile; the eager
implementation of the package, which is its oracle; F.linear_cross_entropy with its
defaults, in one piece and in chunks of several sizes; and, on a GPU and if installed,
liger-kernel, cut-cross-entropy (in bfloat16, because its backward does not support
float32) and Inf-CL (in TF32). All get raw rows and normalise them. On a CPU, the floor
is timed too: only the matrix products and exponentials. Takes about 20 minutes on two
cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import harness, plain
from benchmarks.harness import Case, Job, Peer, Values
from pyg_irllrec.functional import info_nce, unit_norm

MOMENTS = Peer('moments', 3e-2)
CHUNKS = (64, 256, 1024)
# Numbers of rows and of keys (0: the keys are the batch), width, temperature.
SIZES = {
    'n=20332 d=32 t=1': (20332, 0, 32, 1.0),
    'b=4096 c=11000 d=32 t=0.2': (4096, 11000, 32, 0.2),
    'n=100000 d=64 t=1': (100_000, 0, 64, 1.0),
    'n=1000000 d=64 t=1': (1_000_000, 0, 64, 1.0),
    'quick n=700 d=32 t=1': (700, 0, 32, 1.0),
}


def cases(args: argparse.Namespace) -> list[Case]:
    own = [Peer('chunked'), Peer('chunked, symmetric', None)]
    torch_peers = [Peer('torch, one piece'), Peer('torch')]
    chunks = [Peer(f'torch, chunks of {rows}') for rows in CHUNKS]
    gpu = [
        Peer('triton'),
        Peer('liger'),
        Peer('cut-cross-entropy', 2e-2),  # In bfloat16.
        Peer('Inf-CL', 2e-3),  # In TF32.
    ]
    gpu = gpu if args.device == 'cuda' else []
    quick, small, pairs, large, huge = (
        'quick n=700 d=32 t=1',
        'n=20332 d=32 t=1',
        'b=4096 c=11000 d=32 t=0.2',
        'n=100000 d=64 t=1',
        'n=1000000 d=64 t=1',
    )
    everything = [
        Peer('plain'),
        Peer('plain, compiled'),
        Peer('eager'),
        *own,
        *torch_peers,
        *chunks,
        *gpu,
        MOMENTS,
    ]
    if args.device == 'cpu':
        everything.append(Peer('floor', None))
    if args.quick:
        return [Case(quick, everything, repeats=2)]
    return [
        Case(small, everything, repeats=7),
        # Torch loses a digit here when it chunks by itself.
        Case(pairs, [Peer('plain'), own[0], Peer('torch', 2e-4), *gpu[:1]], repeats=7),
        Case(large, [torch_peers[1], chunks[2], own[0], *gpu, MOMENTS], repeats=3),
        Case(huge, [*gpu[:1], Peer('moments', None)], repeats=5),
    ]


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    num_rows, num_keys, dim, temperature = SIZES[case]
    generator = torch.Generator().manual_seed(0)

    def rows(number: int) -> Tensor:
        draw = torch.randn(number, dim, generator=generator)
        return draw.to(device).requires_grad_()

    query, key = rows(num_rows), rows(num_rows)
    keys = rows(num_keys) if num_keys else None
    inputs = {'query': query, 'key': key} | ({} if keys is None else {'keys': keys})
    # Three products of rows and keys in forward and backward together.
    flops = 6.0 * num_rows * (num_keys or num_rows) * dim
    if impl == 'floor':
        return Job(floor(flops, num_rows * (num_keys or num_rows)))
    loss = loss_of(impl, temperature)

    def step() -> Values:
        value = loss(query, key, keys)
        gradients = torch.autograd.grad(value, list(inputs.values()))
        return {'loss': value, **dict(zip(inputs, gradients))}

    return Job(step, flops=0.0 if impl == 'moments' else flops)


def floor(flops: float, num_logits: int) -> Callable[[], Values]:
    """The work that no exact implementation in float32 avoids: the multiplications, as
    square matrix products at full speed, and the exponentials, in the caches."""
    side, cached = 1024, 2**17
    a, b, out = torch.randn(3, side, side).unbind()
    logits = torch.randn(cached)
    exponentials = torch.empty(cached)

    def step() -> Values:
        for _ in range(round(flops / (2 * side**3))):
            torch.mm(a, b, out=out)
        for _ in range(round(num_logits / cached)):
            torch.exp2(logits, out=exponentials)
        return {'one': out[0, 0]}

    return step


def loss_of(
    impl: str, temperature: float, backend: str = 'inductor'
) -> Callable[..., Tensor]:
    """The loss function of one peer, with arguments (query, key, keys)."""
    if impl.startswith('torch, '):
        rows = impl.removeprefix('torch, chunks of ')
        options: Any = None
        if rows != 'torch, one piece':
            options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=int(rows))
        return lambda q, k, c: entropy(q, k, c, temperature, options=options)
    if impl == 'liger':
        from liger_kernel.ops.fused_linear_cross_entropy import (
            LigerFusedLinearCrossEntropyFunction as Liger,
        )

        return lambda q, k, c: by_target(
            lambda x, y, t: Liger.apply(x, y, t)[0], q, k, c, temperature
        )
    if impl == 'cut-cross-entropy':
        from cut_cross_entropy import linear_cross_entropy

        # Small gradients are not filtered out. Its backward does not support float32.
        def cut(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
            x, y = x.bfloat16(), y.bfloat16()
            loss: Tensor = linear_cross_entropy(x, y, t, impl='cce', filter_eps=None)
            return loss

        return lambda q, k, c: by_target(cut, q, k, c, temperature)
    if impl == 'Inf-CL':
        from inf_cl import cal_flash_loss

        # It returns a loss per row. One head is as wide as a row.
        return lambda q, k, c: by_target(
            lambda x, y, t: cal_flash_loss(x, y, t, head_dim=x.size(1)).mean(),
            *(q, k, c, temperature),
        )
    if impl.startswith('plain'):
        formula = plain.info_nce
        if ', ' in impl:
            formula = torch.compile(formula, backend=backend)
        return lambda q, k, c: formula(q, k, c, temperature=temperature)
    name, _, symmetric = impl.partition(', ')
    return lambda q, k, c: info_nce(
        q, k, c, temperature=temperature, impl=name, symmetric=bool(symmetric)
    )


def entropy(
    query: Tensor, key: Tensor, keys: Tensor | None, temperature: float, **kwargs: Any
) -> Tensor:
    return by_target(
        lambda x, y, t: F.linear_cross_entropy(x, y, t, **kwargs),
        query,
        key,
        keys,
        temperature,
    )


def by_target(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    query: Tensor,
    key: Tensor,
    keys: Tensor | None,
    temperature: float,
) -> Tensor:
    """InfoNCE as a cross entropy with one target per row."""
    assert keys is None, 'targets are row numbers of the keys'
    x, y = unit_norm(query) / temperature, unit_norm(key)
    return loss(x, y, torch.arange(x.size(0), device=x.device))


def targets(rows: list[dict[str, Any]]) -> list[str]:
    small, large = 'n=20332 d=32 t=1', 'n=100000 d=64 t=1'
    at = [
        ('speedup over plain, n=20332', small, 'plain', 'chunked', 6),
        ('speedup over F.linear_cross_entropy, n=20332', small, 'torch', 'chunked', 2),
        ('time of floor / chunked, n=20332', small, 'floor', 'chunked', 0.8),
        ('speedup of moments over plain, n=20332', small, 'plain', 'moments', 300),
        ('speedup over F.linear_cross_entropy, n=100000', large, 'torch', 'chunked', 2),
    ]
    return [
        harness.target(what, harness.ratio(rows, case, slow, fast), least)
        for what, case, slow, fast, least in at
    ]


if __name__ == '__main__':
    parser = harness.parser(__doc__)
    arguments = parser.parse_args()
    sys.exit(harness.main('info_nce', prepare, cases(arguments), arguments, targets))
