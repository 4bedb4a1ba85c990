r"""The figures of :mod:`benchmarks.readme` on large data: memory, sampled training and
several processes."""

from __future__ import annotations

from benchmarks import _data_parallel, _distributed_report
from benchmarks import sampled as sampled_benchmark
from benchmarks._figures import by, command, rows_of, table
from benchmarks.out_of_core import table as out_of_core_table
from benchmarks.transforms_memory import table as transforms_memory_table


def data_pipeline() -> str:
    lines = [
        [row['step'], f'{row["seconds"]:.1f}', f'{row["peak_mb"] / 1000:.1f} GB']
        for row in rows_of('data_pipeline')
        if row['step'] != 'open'
    ]
    head = ('step', 'seconds', 'peak memory of the process')
    return f'{command("data_pipeline")}:\n\n{table(head, lines)}'


def out_of_core() -> str:
    rows = rows_of('out_of_core')
    return f'{command("out_of_core")}:\n\n{out_of_core_table(rows)}'


def transforms_memory() -> str:
    rows = rows_of('transforms_memory')
    return f'{command("transforms_memory")}:\n\n{transforms_memory_table(rows)}'


def sampled_bias() -> str:
    rows = sampled_benchmark.bias_table(rows_of('sampled'))
    return f'Over {sampled_benchmark.DRAWS} draws:\n\n{table(*rows)}'


def sampled_cost() -> str:
    rows = sampled_benchmark.cost_table(rows_of('sampled'))
    return (
        'A training step of LightGCN with three layers of width 64, 1024 triplets and '
        'five interactions per node. The peak memory is on top of the memory before '
        f'the step, which includes the tables and Adam:\n\n{table(*rows)}'
    )


def distributed_train() -> str:
    rows = rows_of('distributed_train')
    off = max(
        max(row['loss_error'], row['gradient_error']) for row in by(rows, case='strong')
    )
    return (
        f'{command("distributed_train")}. Loss and gradients of 2 to 4 processes equal '
        f'those of one up to {off:.0e}:\n\n{table(*_data_parallel.table(rows))}'
    )


def distributed_model() -> str:
    rows = rows_of('distributed_model')
    return (
        f'{command("distributed_model")}, per process and step:\n\n'
        f'{table(*_distributed_report.model_table(rows))}'
    )


def distributed_large() -> str:
    rows = rows_of('distributed_large')
    return (
        f'{command("distributed_large")}, four processes on two cores:\n\n'
        f'{table(*_distributed_report.large_table(rows))}'
    )


def distributed_shards() -> str:
    rows = rows_of('distributed_shards')
    errors = [row['max_error'] for row in rows if row['case'] == 'equality']
    scaling = [row for row in rows if row['case'] != 'equality']
    return (
        f'{command("distributed_shards")}. The losses of 2 to 4 processes equal those '
        f'of one up to {max(errors):.0e}, over three steps of Adam. All processes '
        'share two cores:\n\n'
        f'{table(*_distributed_report.scaling_table(scaling))}'
    )


def distributed_prediction() -> str:
    return table(*_distributed_report.prediction_table())


FIGURES = (
    data_pipeline,
    out_of_core,
    transforms_memory,
    sampled_bias,
    sampled_cost,
    distributed_train,
    distributed_model,
    distributed_large,
    distributed_shards,
    distributed_prediction,
)
