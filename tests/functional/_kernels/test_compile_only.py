"""Needs Triton without TRITON_INTERPRET, but no device."""

from __future__ import annotations

import os

import pytest
import torch

from pyg_irllrec.functional._kernels import info_nce_triton as file

if os.environ.get('TRITON_INTERPRET') == '1':
    pytest.skip('TRITON_INTERPRET=1', allow_module_level=True)
pytest.importorskip('triton')

from pyg_irllrec.functional._kernels import _triton_info_nce
from tests.functional._kernels.compile_only import SHARED, Kernels, device

# Bytes of registers.
SPILLED = {80: 208, 90: 0}


def compile_all(monkeypatch, arch, dim, pieces, *, dtype=torch.float32, **options):
    r"""The kernels of one call, forward and backward. They are not run."""
    kernels = Kernels(_triton_info_nce)
    monkeypatch.setattr(file, 'load_triton', lambda *_: kernels)
    monkeypatch.setattr(file, '_pieces', lambda _: pieces)
    query, key, keys = torch.ones(3, 200, dim, dtype=dtype, requires_grad=True)
    given = {'weight': None, 'key_weight': None, 'temperature': 0.2, 'eps': 0.0}
    given |= {'reduction': 'mean', 'keys': keys} | options
    with device(arch):
        file.info_nce_triton(query, key, **given).sum().backward()
    return kernels.compiled


@pytest.mark.parametrize(
    ('arch', 'dim', 'pieces', 'options'),
    [
        (90, 32, 2, {'eps': 1e-8}),
        (90, 64, 1, {'keys': None, 'symmetric': True}),
        (80, 64, 2, {'reduction': 'none', 'key_weight': torch.ones(200)}),
        (80, 17, 1, {'dtype': torch.bfloat16, 'temperature': 0.01}),
    ],
)
def test_fits_a_multiprocessor(monkeypatch, arch, dim, pieces, options):
    compiled = compile_all(monkeypatch, arch, dim, pieces, **options)
    names = [kernel.name for kernel in compiled]
    assert names.count('grad_kernel') == 2
    assert names.count('lse_kernel') == 1 + ('symmetric' in options)
    for kernel in compiled:
        assert kernel.stack <= SPILLED[arch], kernel
        assert kernel.shared <= SHARED[arch], kernel
        if kernel.name in ('grad_kernel', 'lse_kernel'):
            products = 'wgmma.mma_async' if arch == 90 else 'mma.sync'
            assert kernel.count(products) > 0
            assert kernel.count('ex2.approx.ftz') > 0
