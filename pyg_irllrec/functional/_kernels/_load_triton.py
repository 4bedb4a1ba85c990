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
    r"""The module of this folder that holds Triton kernels, imported when first asked
    for: Triton is optional, and takes its time.

    Raises:
        ValueError: If :obj:`x` is where Triton does not run.
        ImportError: If Triton is not installed.
    """
    if not x.is_cuda and os.environ.get('TRITON_INTERPRET') != '1':
        raise ValueError(
            f"impl='triton' needs a CUDA tensor, got one on {x.device}: take another "
            'impl, or set TRITON_INTERPRET=1 to try it out, slowly'
        )
    import_optional('triton', "impl='triton'", 'triton')
    return import_module(f'pyg_irllrec.functional._kernels.{name}')


def can_run_triton(x: Tensor) -> bool:
    r"""Whether Triton runs where :obj:`x` is."""
    return x.is_cuda and _is_installed()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _is_installed() -> bool:
    return _find()


@cache
def _find() -> bool:
    # It makes its launchers by a C compiler.
    compilers = os.environ.get('CC', 'gcc'), 'gcc', 'clang'
    return find_spec('triton') is not None and any(map(shutil.which, compilers))
