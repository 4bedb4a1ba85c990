r"""How :mod:`benchmarks.gpu` measures: CUDA events where there is a GPU, the clock of
the host where there is none, and what the device could do at best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

Row = dict[str, Any]
Step = Callable[[], object]

WARM_UP = 2


class Peaks(NamedTuple):
    """What a device does in a second, from its data sheet."""

    float32: float
    tf32: float
    bfloat16: float
    exps: float
    bytes: float


# Dense products; an SM takes 16 exponentials a clock, at the boost clock.
PEAKS = {
    'H200': Peaks(67e12, 494.7e12, 989.4e12, 132 * 16 * 1.98e9, 4.8e12),
    'H100': Peaks(67e12, 494.7e12, 989.4e12, 132 * 16 * 1.98e9, 3.35e12),
    'A100': Peaks(19.5e12, 156e12, 312e12, 108 * 16 * 1.41e9, 2.04e12),
}
# Rows that are kept as two halves of 16 bits are multiplied by three products.
PRODUCTS = {
    'float32': ('float32', 1),
    'tf32': ('tf32', 1),
    'two halves': ('bfloat16', 3),
    'bfloat16': ('bfloat16', 1),
}


class Work(NamedTuple):
    """What a call needs at least."""

    flops: float = 0.0
    exps: float = 0.0
    bytes: float = 0.0
    precision: str = 'float32'


def find_peaks(device: torch.device) -> Optional[Peaks]:
    """Those of the device, if they are known."""
    if device.type != 'cuda':
        return None
    name = torch.cuda.get_device_name(device)
    return next((peaks for part, peaks in PEAKS.items() if part in name), None)


def find_floor(work: Work, peaks: Peaks) -> tuple[float, str]:
    """The seconds that the work takes at best, and what bounds them."""
    unit, times = PRODUCTS[work.precision]
    parts = {
        'products': times * work.flops / getattr(peaks, unit),
        'exps': work.exps / peaks.exps,
        'bytes': work.bytes / peaks.bytes,
    }
    bound = max(parts, key=lambda name: parts[name])
    return parts[bound], bound


def measure(
    step: Step,
    device: torch.device,
    *,
    work: Optional[Work] = None,
    seconds: float = 0.5,
    most: int = 50,
    warm: bool = False,
) -> Row:
    """Times calls: the first ones warm up, the median of as many as fit in
    :obj:`seconds` counts. A call of several seconds counts alone, and is the first one
    where the device is :obj:`warm`."""
    if device.type != 'cuda':  # A dry run, whose figures mean nothing.
        return {'seconds': _time_once(step, device), 'calls': 1}
    before = start_memory(device)
    if not warm:
        step()  # Kernels are compiled.
    taken = _time_once(step, device)
    if taken > 4 * seconds:
        times = [taken]
    else:
        for _ in range(WARM_UP):
            taken = _time_once(step, device)
        number = max(3, min(most, int(seconds / max(taken, 1e-6))))
        times = _time_many(step, device, number)
    row: Row = {'seconds': statistics.median(times), 'calls': len(times)}
    row['extra_mb'] = extra_memory(device, before)
    peaks = find_peaks(device)
    if work is not None and peaks is not None:
        floor, bound = find_floor(work, peaks)
        row |= {
            'floor_seconds': floor,
            'bound_by': bound,
            'of_floor': floor / row['seconds'],
        }
    return row


def start_memory(device: torch.device) -> int:
    """Forget the peak so far, and return what is held now."""
    if device.type != 'cuda':
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def extra_memory(device: torch.device, before: int) -> float:
    """The megabytes at the peak since :func:`start_memory` that were not held then."""
    if device.type != 'cuda':
        return 0.0
    peak = torch.cuda.max_memory_allocated(device)
    return round((peak - before) / 2**20, 1)


def _time_once(step: Step, device: torch.device) -> float:
    """By the clock of the host."""
    on_gpu = device.type == 'cuda'
    if on_gpu:
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    step()
    if on_gpu:
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _time_many(step: Step, device: torch.device, number: int) -> list[float]:
    events = [torch.cuda.Event(enable_timing=True) for _ in range(number + 1)]
    events[0].record()
    for event in events[1:]:
        step()
        event.record()
    torch.cuda.synchronize(device)
    return [start.elapsed_time(end) / 1e3 for start, end in pairwise(events)]


def count_kernels(step: Step, device: torch.device) -> Row:
    """How many kernels a call launches, and how long the device is busy with them. On
    a CPU these are torch's operators, and the time is that of all of them."""
    on_gpu = device.type == 'cuda'
    calls = 3 if on_gpu else 1
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    step()
    with profile(activities=activities) as profiled:
        for _ in range(calls):
            step()
        if on_gpu:
            torch.cuda.synchronize(device)
    events = [
        event
        for event in profiled.events() or []
        if event.device_type == wanted and not event.is_user_annotation
    ]
    busy = sum(event.time_range.elapsed_us() for event in events) / 1e6
    return {'kernels': round(len(events) / calls), 'busy_seconds': busy / calls}


def measure_ceilings(device: torch.device, size: int) -> Row:
    """What a copy and products of matrices reach here, in bytes and FLOP a second."""
    a, b = (torch.randn(4 * size * size, device=device) for _ in range(2))
    copy = measure(partial(a.copy_, b), device, seconds=0.1)['seconds']
    row: Row = {'copy_bytes_per_second': 2 * a.nbytes / copy}
    for name, dtype, precision in (
        ('float32', torch.float32, 'highest'),
        ('tf32', torch.float32, 'high'),
        ('bfloat16', torch.bfloat16, 'highest'),
    ):
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)
        with matmul_precision(precision):
            product = partial(torch.mm, a, b, out=out)
            taken = measure(product, device, seconds=0.1)['seconds']
        row[f'{name}_flops_per_second'] = 2 * size**3 / taken
    return row


@contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Torch's precision of float32 products, restored afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def draw_rows(
    number: int, dim: int, device: torch.device, seed: int, dtype: torch.dtype
) -> Tensor:
    """Standard normal rows, drawn where they are used."""
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randn(number, dim, device=device, dtype=dtype, generator=generator)
