r"""The section of :mod:`benchmarks.gpu` that times info_nce and its peers, forward and
backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import harness
from benchmarks._gpu_measure import Row, Work, draw_rows, matmul_precision, measure
from benchmarks._gpu_setting import LeftOut, Setting, need
from benchmarks._gpu_store import Entry
from benchmarks.info_nce import loss_of
from pyg_irllrec.functional import info_nce

SECTION = 'info_nce'
Loss = Callable[[Tensor, Tensor], Tensor]


class Form(NamedTuple):
    """A way to compute the loss."""

    impl: str
    """Its name in :func:`benchmarks.info_nce.loss_of`."""
    precision: str = 'float32'
    """The precision of its products, which determines the lower bound on its time."""
    package: Optional[str] = None
    linear: bool = False
    """Whether its time is linear in N. It has no lower bound here."""


FORMS = {
    'triton': Form('triton', 'two halves', 'triton'),
    'triton, tf32': Form('triton', 'bfloat16', 'triton'),
    'triton, symmetric': Form('triton, symmetric', 'two halves', 'triton'),
    'moments': Form('moments', linear=True),
    'chunked': Form('chunked'),
    'chunked, tf32': Form('chunked', 'tf32'),
    'plain': Form('plain'),
    'plain, compiled': Form('plain, compiled'),
    'F.linear_cross_entropy': Form('torch'),
    'liger': Form('liger', package='liger_kernel'),
    'cut-cross-entropy, bfloat16': Form(
        'cut-cross-entropy', 'bfloat16', 'cut_cross_entropy'
    ),
    'Inf-CL, tf32': Form('Inf-CL', 'tf32', 'inf_cl'),
}
# Number of rows, width, number of rows of a dry run, and names of the timed forms.
CASES = {
    'n=20332 d=32': (20_332, 32, 150, tuple(FORMS)),
    'n=100000 d=64': (
        100_000,
        64,
        160,
        tuple(name for name in FORMS if not name.startswith('plain')),
    ),
    'n=1000000 d=64': (1_000_000, 64, 140, ('moments', 'triton, tf32', 'triton')),
}
# For more rows no reference is computed, which would take longer than all peers.
MOST_CHECKED = 200_000


def entries(setting: Setting) -> Iterator[Entry]:
    for case, (real, dim, toy, names) in CASES.items():
        size = setting.pick(real, toy)
        for name in names:
            run = partial(_time_form, setting, size, dim, name)
            yield Entry(SECTION, case, name, run)


def _time_form(setting: Setting, size: int, dim: int, name: str) -> Row:
    form = FORMS[name]
    if form.package is not None:
        need(form.package)
    if form.impl == 'torch' and not hasattr(F, 'linear_cross_entropy'):
        raise LeftOut(f'torch {torch.__version__} has no F.linear_cross_entropy')
    if setting.dry and form.impl in ('liger', 'cut-cross-entropy', 'Inf-CL'):
        raise LeftOut('it needs a GPU')
    loss = make_loss(form.impl, 'eager' if setting.dry else 'inductor')
    with matmul_precision('high' if name.endswith('tf32') else 'highest'):
        warm = size > MOST_CHECKED
        if warm:  # Compile with a small size, which costs little.
            take_step(loss, *draw_inputs(setting.device, 65_536, dim))
        query, key = draw_inputs(setting.device, size, dim)
        if setting.dry and name.endswith('compiled'):
            take_step(loss, query, key)  # Compile first: a dry run times one call.
        row = measure(
            lambda: take_step(loss, query, key),
            setting.device,
            work=None if form.linear else count_work(size, dim, form.precision),
            warm=warm,
        )
        if size <= MOST_CHECKED and not name.endswith('symmetric'):
            values = take_step(loss, query, key)
            wanted = _reference(setting.device, size, dim)
            row['max_error'] = harness.max_relative_error(values, wanted)
    return row


def make_loss(impl: str, backend: str = 'inductor') -> Loss:
    loss = loss_of(impl, temperature=1.0, backend=backend)
    return lambda query, key: loss(query, key, None)


def count_work(size: int, dim: int, precision: str) -> Work:
    """The least work of forward and backward without N x N memory: four products
    (the logits twice and both gradients), and all exponentials twice."""
    return Work(
        flops=4 * 2.0 * size * size * dim,
        exps=2.0 * size * size,
        bytes=4 * 4.0 * size * dim,
        precision=precision,
    )


def draw_inputs(device: torch.device, size: int, dim: int) -> tuple[Tensor, Tensor]:
    query, key = (
        draw_rows(size, dim, device, seed, torch.float32).requires_grad_()
        for seed in range(2)
    )
    return query, key


def take_step(loss: Loss, query: Tensor, key: Tensor) -> harness.Values:
    value = loss(query, key)
    grads = torch.autograd.grad(value, [query, key])
    return {'loss': value.detach(), 'query': grads[0], 'key': grads[1]}


@cache
def _reference(device: torch.device, size: int, dim: int) -> harness.Values:
    """The loss and gradients in float64, by blocks of rows."""
    query, key = (
        x.detach().double().requires_grad_() for x in draw_inputs(device, size, dim)
    )
    return take_step(lambda q, k: info_nce(q, k, impl='chunked'), query, key)
