"""Counts the kernels of a training step on a CUDA device, without one: the step runs on
the CPU while tensors pretend to lie on CUDA, and the profiler lists its operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.autograd.profiler import profile, record_function
from torch.overrides import TorchFunctionMode

from pyg_irllrec.functional._kernels import (
    _load_triton,
    info_nce_triton,
    intent_propagate_triton,
)

# What launches nothing: views, and memory without values.
FREE = frozenset(
    'alias as_strided broadcast_tensors chunk detach detach_ diagonal empty empty_like '
    'empty_strided expand expand_as flatten is_nonzero lift_fresh movedim narrow '
    'new_empty new_empty_strided permute ravel reshape resize_ resolve_conj '
    'resolve_neg result_type select set_ slice split split_with_sizes squeeze t '
    'transpose unbind unflatten unfold unsafe_split unsqueeze view view_as '
    '_reshape_alias _unsafe_view values crow_indices col_indices '
    '_sparse_csr_tensor_unsafe sparse_csr_tensor _values _indices numpy_T '
    '_nnz _local_scalar_dense item to contiguous promote_types real scalar_tensor '
    'sparse_compressed_tensor _sparse_compressed_tensor_unsafe'.split()
)
# What launches about so many kernels, whatever a CPU does: a stable sort copies,
# numbers and sorts by digits; a sum by an index sorts it first.
SEVERAL = {
    'sort': 5,
    '_index_put_impl_': 10,
    'embedding_dense_backward': 8,
    'sampled_addmm': 3,
    'sparse_sampled_addmm': 3,
}


def count_kernels(step: Callable[[], object]) -> Counter[str]:
    r"""The kernels of a step by operator."""
    with pretend_cuda():
        step()  # What is made in the first one alone does not count.
        with profile() as profiler:
            step()
    counts: Counter[str] = Counter()
    for event in profiler.function_events:
        if event.cpu_parent is None:
            _count(event, counts)
    return counts


def _count(event: Any, counts: Counter[str]) -> int:
    r"""Add the kernels of an operator and of all that it calls."""
    prefix, _, name = event.name.partition('::')
    # One kernel for a list of tensors, where a CPU takes them one by one.
    if prefix == 'triton' or name in SEVERAL or name.startswith('_foreach_'):
        number = SEVERAL.get(name, 1)
        counts[name] += number
        return number
    number = sum(_count(child, counts) for child in event.cpu_children)
    if number == 0 and prefix == 'aten' and name not in FREE:
        counts[name] += 1
        number = 1
    return number


@contextmanager
def pretend_cuda() -> Iterator[None]:
    r"""Tensors look as if they lay on CUDA, where Triton launches nothing."""
    with pytest.MonkeyPatch.context() as patch, _OnCPU():
        cuda = torch.device('cuda', 0)
        for name, value in ('is_cpu', False), ('is_cuda', True), ('device', cuda):
            patch.setattr(
                torch.Tensor, name, property(lambda _, value=value: value), False
            )
        patch.setattr(torch.cuda, 'device_of', lambda _: _OnCPU())
        # A function mode is blind to what operators of ours call.
        patch.setattr(torch, 'arange', partial(_without_device, torch.arange))
        processors = SimpleNamespace(multi_processor_count=132, major=9, minor=0)
        patch.setattr(torch.cuda, 'get_device_properties', lambda _: processors)
        patch.setattr(_load_triton, '_is_installed', lambda: True)
        for module in info_nce_triton, intent_propagate_triton:
            patch.setattr(module, 'load_triton', lambda *_: _Kernels())
        yield


def _without_device(make: Callable[..., Any], *args: Any, device: Any = None) -> Any:
    return make(*args)


class _OnCPU(TorchFunctionMode):
    r"""Make on the CPU what is asked for on CUDA."""

    def __torch_function__(self, func: Any, types: Any, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get('device') is not None:
            kwargs = {**kwargs, 'device': 'cpu'}
        return func(*args, **kwargs)


class _Kernels:
    r"""Kernels that do nothing."""

    def __getattr__(self, name: str) -> Any:
        return _Kernel(name)


class _Kernel:
    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return self._launch

    def _launch(self, *args: object, **kwargs: object) -> None:
        with record_function(f'triton::{self.name}'):
            pass
