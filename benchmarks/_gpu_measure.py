r"""The measurements of :mod:`benchmarks.gpu`: times by CUDA events (on a CPU by the
clock of the host), memory, kernels, and the lower bound that the device allows."""

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
    """The operations and bytes per second of a device, from its data sheet."""

    float32: float
    tf32: float
    bfloat16: float
    exps: float
    bytes: float


# Dense products. An SM computes 16 exponentials per cycle of the boost clock.
PEAKS = {
    'H200': Peaks(67e12, 494.7e12, 989.4e12, 132 * 16 * 1.98e9, 4.8e12),
    'H100': Peaks(67e12, 494.7e12, 989.4e12, 132 * 16 * 1.98e9, 3.35e12),
    'A100': Peaks(19.5e12, 156e12, 312e12, 108 * 16 * 1.41e9, 2.04e12),
}
# Unit and number of products. Rows split into two halves of 16 bits need three.
PRODUCTS = {
    'float32': ('float32', 1),
    'tf32': ('tf32', 1),
    'two halves': ('bfloat16', 3),
    'bfloat16': ('bfloat16', 1),
}


class Work(NamedTuple):
    """The least operations and bytes of a call."""

    flops: float = 0.0
    exps: float = 0.0
    bytes: float = 0.0
    precision: str = 'float32'


def find_peaks(device: torch.device) -> Optional[Peaks]:
    """The peaks of the device, if they are known."""
    if device.type != 'cuda':
        return None
    name = torch.cuda.get_device_name(device)
    return next((peaks for part, peaks in PEAKS.items() if part in name), None)


def find_floor(work: Work, peaks: Peaks) -> tuple[float, str]:
    """The least seconds that the work needs, and which part bounds them."""
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
    """Time a call: the median of as many calls as fit in :obj:`seconds`, after a few
    that warm up. A call of several seconds is timed once, without warm-up if the device
    is :obj:`warm`."""
    if device.type != 'cuda':  # A dry run, whose figures mean nothing.
        return {'seconds': _time_once(step, device), 'calls': 1}
    before = start_memory(device)
    if not warm:
        step()  # Compiles the kernels.
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
    """Reset the peak memory, and return the bytes allocated now."""
    if device.type != 'cuda':
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def extra_memory(device: torch.device, before: int) -> float:
    """The peak since :func:`start_memory` above :obj:`before`, in megabytes."""
    if device.type != 'cuda':
        return 0.0
    peak = torch.cuda.max_memory_allocated(device)
    return round((peak - before) / 2**20, 1)


def _time_once(step: Step, device: torch.device) -> float:
    """The seconds of a call by the clock of the host."""
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
    """The number of kernels that a call launches, and the seconds that they run. On a
    CPU, torch's operators are counted instead."""
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
    """The bytes per second of a copy and the FLOP/s of matrix products on this
    device."""
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
    """Set torch's precision of float32 products, and restore it afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def draw_rows(
    number: int, dim: int, device: torch.device, seed: int, dtype: torch.dtype
) -> Tensor:
    """Standard normal rows, drawn on the device."""
    generator = torch.Generator(device).manual_seed(seed)
    return torch.randn(number, dim, device=device, dtype=dtype, generator=generator)
