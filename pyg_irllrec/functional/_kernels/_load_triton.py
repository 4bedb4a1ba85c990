from __future__ import annotations

import os
import shutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor

from pyg_irllrec.utils.optional import import_optional


def load_triton(name: str, x: Tensor) -> ModuleType:
    r"""Import a module of Triton kernels from this folder on first use: Triton is
    optional, and slow to import.

    Raises:
        ValueError: If Triton does not run on the device of :obj:`x`.
        ImportError: If Triton is not installed.
    """
    if not x.is_cuda and os.environ.get('TRITON_INTERPRET') != '1':
        raise ValueError(
            f"impl='triton' needs a CUDA tensor, got one on {x.device}: use another "
            'impl, or set TRITON_INTERPRET=1 to run it slowly on a CPU'
        )
    import_optional('triton', "impl='triton'", 'triton')
    return import_module(f'pyg_irllrec.functional._kernels.{name}')


def can_run_triton(x: Tensor) -> bool:
    r"""Whether Triton runs on the device of :obj:`x`."""
    return x.is_cuda and _is_installed()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _is_installed() -> bool:
    return _find()


@cache
def _find() -> bool:
    # Triton compiles its launchers with a C compiler.
    compilers = os.environ.get('CC', 'gcc'), 'gcc', 'clang'
    return find_spec('triton') is not None and any(map(shutil.which, compilers))
