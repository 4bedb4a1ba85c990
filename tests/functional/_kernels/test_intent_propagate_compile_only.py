"""Needs Triton without TRITON_INTERPRET, but no device."""

from __future__ import annotations

import os

import pytest
import torch

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.functional._kernels import intent_propagate_triton as file

if os.environ.get('TRITON_INTERPRET') == '1':
    pytest.skip('TRITON_INTERPRET=1', allow_module_level=True)
pytest.importorskip('triton')

from pyg_irllrec.functional._kernels import _triton_intent_propagate
from tests.functional._kernels.compile_only import SHARED, Kernels, device

EACH = 'unit_kernel', 'forward_kernel', 'forward_sum_kernel', 'upstream_kernel'
# 64 K registers suffice for 12 warps, or for 8 in double precision.
MOST = {torch.float32: 168, torch.float64: 255}


@pytest.mark.parametrize(
    ('arch', 'dim', 'h_dim', 'dtype', 'kind'),
    [
        (90, 64, 64, torch.float32, 'undirected'),
        (80, 64, 64, torch.float32, 'undirected'),
        (80, 32, 32, torch.float32, 'weighted'),
        (90, 17, 130, torch.float64, 'directed'),
        (90, 512, 512, torch.float32, 'undirected'),
    ],
)
def test_fits_a_multiprocessor(monkeypatch, arch, dim, h_dim, dtype, kind):
    kernels = Kernels(_triton_intent_propagate)
    monkeypatch.setattr(file, 'load_triton', lambda *_: kernels)
    graph = torch.randint(90, (2, 2000))
    if kind == 'undirected':
        graph = torch.cat([graph, graph.flip(0)], dim=1)
    weight = (torch.ones(2000, dtype=dtype),) if kind == 'weighted' else ()
    x, h = (torch.ones(90, size, dtype=dtype) for size in (dim, h_dim))
    with device(arch):
        out = intent_propagate(x.requires_grad_(), h, graph, *weight, impl='triton')
        out.sum().backward()
    names = [kernel.name for kernel in kernels.compiled]
    passes = 1 if kind == 'undirected' else 2
    assert names == [*EACH, *['backward_kernel', 'backward_sum_kernel'] * passes]
    for kernel in kernels.compiled:
        assert kernel.stack <= 8 and kernel.registers <= MOST[dtype], kernel
        assert kernel.shared <= SHARED[arch], kernel
    if dim == h_dim:  # Rows are read 16 bytes at a time.
        for kernel in kernels.compiled:
            assert kernel.count('.v4.b32') > 0, kernel
