"""Compile Triton kernels for devices that do not exist here."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget

# The maximum bytes of shared memory per program.
SHARED = {80: 163 * 2**10, 90: 227 * 2**10}


class Compiled(NamedTuple):
    r"""The resources that a kernel uses."""

    name: str
    registers: int
    # The bytes of spilled registers.
    stack: int
    shared: int
    # The number of instructions by the start of their names in PTX.
    count: Callable[[str], int]


class Kernels:
    r"""The kernels of a module. A launch compiles a kernel, like a real launch, and
    stores the result."""

    def __init__(self, module: ModuleType):
        self.module = module
        self.compiled: list[Compiled] = []

    def __getattr__(self, name: str) -> Any:
        return _Launcher(getattr(self.module, name), self.compiled)


class _Launcher:
    def __init__(self, kernel: Any, compiled: list[Compiled]):
        self.kernel, self.compiled = kernel, compiled

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*args: Any, **options: Any) -> None:
            result = self.kernel.run(*args, grid=grid, warmup=True, **options)
            name = self.kernel.fn.__name__
            registers, stack = resources(result.asm['cubin'])
            shared, ptx = result.metadata.shared, result.asm['ptx']
            found = Compiled(name, registers, stack, shared, ptx.count)
            self.compiled.append(found)

        return launch


def resources(cubin: bytes) -> tuple[int, int]:
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(cubin)
        file.flush()
        command = triton.knobs.nvidia.cuobjdump.path, '-res-usage', file.name
        text = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r'REG:(\d+) STACK:(\d+)', text.stdout + text.stderr)
    assert found is not None
    return int(found[1]), int(found[2])


@contextmanager
def device(arch: int) -> Iterator[None]:
    r"""Make Triton compile for this architecture."""
    target = GPUTarget('cuda', arch, 32)
    config = triton.runtime.driver
    before = config._active
    config.set_active(
        SimpleNamespace(
            get_current_target=lambda: target,
            # Triton caches kernels by device.
            get_current_device=lambda: arch,
            get_current_stream=lambda device: 0,
        )
    )
    try:
        yield
    finally:
        config._active = before
