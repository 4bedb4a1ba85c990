r"""The figures of :mod:`benchmarks.readme` on speed, on CPUs and GPUs."""

from __future__ import annotations

import re

from benchmarks import _gpu_report
from benchmarks import info_nce as info_nce_benchmark
from benchmarks import intent_propagate as intent_propagate_benchmark
from benchmarks import item_index as item_index_benchmark
from benchmarks import recommend_all as recommend_all_benchmark
from benchmarks import sampling_eval as sampling_eval_benchmark
from benchmarks import scale as scale_benchmark
from benchmarks import train_step as train_step_benchmark
from benchmarks._figures import (
    Row,
    by,
    command,
    has_report,
    machine,
    missed,
    peers,
    report,
    rows_of,
    seconds,
    table,
)
from benchmarks.serving_load import table as serving_load_table


def train_step() -> str:
    rows = rows_of('train_step')
    return (
        f'{command("train_step")}, {machine("train_step")}:\n\n{peers(rows)}'
        f'{missed(train_step_benchmark.targets(rows))}'
    )


def info_nce() -> str:
    rows, large = rows_of('info_nce'), rows_of('info_nce_large')
    return (
        f'{command("info_nce")}, {machine("info_nce")}; the largest case by '
        f'{command("info_nce_large")}, on another day:\n\n{peers(rows + large)}'
        f'{missed(info_nce_benchmark.targets(rows + large))}'
    )


def intent_propagate() -> str:
    rows = rows_of('intent_propagate')
    return (
        f'{command("intent_propagate")}, {machine("intent_propagate")}:\n\n'
        f'{peers(rows)}{missed(intent_propagate_benchmark.targets(rows))}'
    )


def sampling_eval() -> str:
    rows = rows_of('sampling_eval')
    return (
        f'{command("sampling_eval")}, {machine("sampling_eval")}:\n\n'
        f'{peers(rows)}{missed(sampling_eval_benchmark.targets(rows))}'
    )


def exact_contrast() -> str:
    rows = by(rows_of('info_nce') + rows_of('info_nce_large'), impl='chunked')
    rows = [row for row in rows if row['case'].startswith('n=')]  # N x N cases.
    times = ', '.join(
        f'{seconds(row["seconds"])} for {int(size):,} nodes of width {width}'
        for row in rows
        for size, width in re.findall(r'n=(\d+) d=(\d+)', row['case'])
    )
    return (
        '- Exact translation alignment contrasts all nodes with all nodes: its time '
        f'grows with $N^2$ ({times}), its memory with $N$. For more nodes, use '
        "`translation_impl='moments'`."
    )


def approximation() -> str:
    return command('approximation')


def scale() -> str:
    return f'{command("scale")}:\n\n{scale_benchmark.table(rows_of("scale"))}'


def serving_load() -> str:
    return (
        f'{command("serving_load")}, service and clients on '
        f'{machine("serving_load")}:\n\n{serving_load_table(rows_of("serving_load"))}'
    )


def item_index() -> str:
    rows = rows_of('item_index')
    return f'{command("item_index")}:\n\n{item_index_benchmark.table(rows)}'


def recommend_all() -> str:
    rows = rows_of('recommend_all')
    return f'{command("recommend_all")}:\n\n{recommend_all_benchmark.table(rows)}'


NO_GPU = (
    'This version has not been measured on a GPU yet: `python -m benchmarks.gpu` '
    'measures everything.'
)


def has_gpu() -> bool:
    """Whether there are figures of a real run on a GPU."""
    return has_report('gpu') and not report('gpu')['dry']


def gpu() -> str:
    """All measurements on a GPU."""
    if not has_gpu():
        return NO_GPU
    rows = rows_of('gpu')
    winners = ''.join(f'\n- {line}' for line in _gpu_report.winners(rows))
    return (
        f'{command("gpu")}, {gpu_machine()}, float32 if not stated otherwise:\n\n'
        f'{_gpu_report.table(rows)}\n\nThe best blocks:\n{winners}{gpu_missed(rows)}'
    )


def gpu_summary() -> str:
    """The measurements on a GPU that have goals."""
    if not has_gpu():
        return NO_GPU
    rows = rows_of('gpu')
    lines = [
        [row['case'], row['impl'], seconds(row['seconds']), seconds(goal)]
        for row in rows
        if (goal := _gpu_report.find_goal(row)) is not None and 'seconds' in row
    ]
    head = ('case', 'implementation', 'time', 'goal')
    return f'{command("gpu")}, {gpu_machine()}:\n\n{table(head, lines)}'


def gpu_machine() -> str:
    environment = report('gpu')['environment']
    torch = '.'.join(environment['torch'].split('.')[:2])
    return f'{environment["gpu"]}, torch {torch}'


def gpu_missed(rows: list[Row]) -> str:
    lines = _gpu_report.missed(rows)
    return f'\n\nGoals missed: {"; ".join(lines)}.' if lines else ''


FIGURES = (
    train_step,
    info_nce,
    intent_propagate,
    sampling_eval,
    exact_contrast,
    approximation,
    scale,
    serving_load,
    item_index,
    recommend_all,
    gpu,
    gpu_summary,
)
