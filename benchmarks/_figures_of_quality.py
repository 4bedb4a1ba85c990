r"""The figures of :mod:`benchmarks.readme` on the quality of recommendations."""

from __future__ import annotations

from benchmarks import cold_items as cold_items_benchmark
from benchmarks import sampled as sampled_benchmark
from benchmarks._figures import Row, by, command, machine, mean, rows_of, table
from benchmarks._quality_report import (
    MAIN,
    compare,
    comparison_table,
    grid,
    seconds_table,
)
from benchmarks._quality_report import table as quality_table
from benchmarks.precision import table as precision_table
from benchmarks.prototypes import table as prototypes_table
from benchmarks.steering import table as steering_table

SHOWN = {
    'popularity': 'Popularity',
    'itemknn': 'ItemKNN',
    'ease': 'EASE',
    'ease-profile': 'EASE with texts',
    'lightgcn-bpr-none-recipe': "LightGCN, its authors' settings",
    'simgcl-bpr-none-recipe': "SimGCL, its authors' settings",
    'auto-none': '`build_model`, no texts',
    'auto': '`build_model`',
}
"""The arms in the README and their names there."""


def results() -> str:
    """The short table of the README: Recall only, the best of each dataset in bold."""
    names = ('quality', 'quality_time', 'quality_recipe')
    rows = [row for name in names for row in rows_of(name) if row['arm'] in SHOWN]
    cases = list(dict.fromkeys(row['case'] for row in rows))
    recall = {
        (row['arm'], row['case']): round(mean(row['test']['recall']), 3) for row in rows
    }
    best = {case: max(recall.get((arm, case), 0) for arm in SHOWN) for case in cases}

    def cell(arm: str, case: str) -> str:
        value = recall.get((arm, case))
        mark = '**' if value == best[case] else ''
        return '' if value is None else f'{mark}{value:.3f}{mark}'

    lines = [
        [label, *(cell(arm, case) for case in cases)] for arm, label in SHOWN.items()
    ]
    seeds = [len(row['seeds']) for row in rows]
    return (
        f'Recall@20 on the test part, means of {min(seeds)} to {max(seeds)} seeds '
        f'([JSON](benchmarks/results/quality.json)):\n\n{table(("", *cases), lines)}'
    )


def quality() -> str:
    """Means over seeds, the best of each dataset in bold."""
    rows = rows_of('quality')
    most = max(len(row['seeds']) for row in rows)
    fewer = ''
    if any(len(row['seeds']) < most for row in rows):
        fewer = ' (with fewer seeds, their number is in brackets)'
    return (
        f'{quality_command()}, Recall@20 / NDCG@20 on the test part, mean of {most} '
        f'seeds{fewer}, the best of each dataset in bold:\n\n'
        f'{best_table(rows, most)}\n\n'
        '![Recall and NDCG of every arm on every dataset]'
        '(benchmarks/results/quality.png)'
    )


def quality_splits() -> str:
    """The same models with other splits."""
    tables = [
        f'{quality_command(name)}, Recall@20 / NDCG@20 on the test part, mean ± '
        f'deviation of the seeds:\n\n{quality_table(rows_of(name))}'
        for name in ('quality_time', 'quality_leave_one_out')
    ]
    return '\n\n'.join(tables)


def quality_backbones() -> str:
    """Backbones with real texts, with shuffled texts and without texts."""
    return _with_tests('quality_backbones')


def quality_ablation() -> str:
    """LightGCN by its ranking loss and its use of texts."""
    return _with_tests('quality_ablation')


def quality_width() -> str:
    """LightGCN by its width."""
    return _with_tests('quality_width')


def _with_tests(name: str) -> str:
    rows = rows_of(name)
    return (
        f'{quality_command(name)}, Recall@20 / NDCG@20 on the test part, mean ± '
        f'deviation of the seeds:\n\n{quality_table(rows)}\n\n'
        "Paired t-tests over seeds, Holm's correction over all of them:\n\n"
        f'{comparison_table(compare(rows))}'
    )


def quality_recipe() -> str:
    """Backbones with their authors' settings."""
    return (
        f'{quality_command("quality_recipe")}, Recall@20 / NDCG@20 on the test part:'
        f'\n\n{quality_table(rows_of("quality_recipe"))}'
    )


def quality_tests() -> str:
    """The runs of :func:`quality` with deviations, significance tests and seconds."""
    rows = rows_of('quality')
    return (
        f'{quality_command()}, Recall@20 / NDCG@20 on the test part, mean ± deviation '
        f'of the seeds:\n\n{quality_table(rows)}\n\n'
        "Paired t-tests over seeds, Holm's correction over all of them:\n\n"
        f'{comparison_table(compare(rows))}\n\n'
        'Seconds to train one model:\n\n'
        f'{seconds_table(rows)}'
    )


def quality_command(name: str = 'quality') -> str:
    return command(name).replace(' --report', '')


def best_table(rows: list[Row], seeds: int) -> str:
    """Means, with the number of seeds if it is below :obj:`seeds`."""
    shown = {
        (row['arm'], row['case']): [f'{mean(row["test"][name]):.4f}' for name in MAIN]
        for row in rows
    }
    count = {(row['arm'], row['case']): len(row['seeds']) for row in rows}

    def cell(arm: str, case: str) -> str:
        if (arm, case) not in shown:
            return ''
        columns = zip(*(values for key, values in shown.items() if key[1] == case))
        values = [
            f'**{value}**' if value == max(column) else value
            for value, column in zip(shown[arm, case], columns)
        ]
        text = ' / '.join(values)
        return text if (n := count[arm, case]) == seeds else f'{text} ({n})'

    return grid(rows, cell)


def precision() -> str:
    rows = rows_of('precision')
    return f'{command("precision")}, {machine("precision")}:\n\n{precision_table(rows)}'


def prototypes() -> str:
    rows = rows_of('prototypes')
    seeds = len({row['seed'] for row in rows if 'seed' in row})
    (bayes,) = by(rows, arm="Bayes' rule")
    return (
        f'{command("prototypes")}, mean of {seeds} seeds:\n\n'
        f'{prototypes_table(rows)}\n\n'
        "Bayes' rule, applied to the process that generated the data, recovers the "
        f"users' largest intents with an NMI of {bayes['user nmi']:.2f}. No method can "
        'do better on average from this training part, because many users mix intents.'
    )


def steering() -> str:
    rows = rows_of('steering')
    seeds = len({row['seed'] for row in rows})
    return (
        f'{command("steering")}, share of the top 20 with the intent / Recall@20, mean '
        f'of {seeds} seeds:\n\n{steering_table(rows)}\n\n'
        '![Recall against the share of the wanted intent, by the dial]'
        '(benchmarks/results/steering.png)'
    )


def cold_items() -> str:
    table = cold_items_benchmark.items_table(rows_of('cold_items'))
    return f'{command("cold_items")}, Recall@20:\n\n{table}'


def cold_updates() -> str:
    table = cold_items_benchmark.updates_table(rows_of('cold_items'))
    return f'The same command, Recall@20 of the test set:\n\n{table}'


def sampled_quality() -> str:
    rows = sampled_benchmark.quality_table(rows_of('sampled'))
    return f'{command("sampled")}, test part, one seed:\n\n{table(*rows)}'


FIGURES = (
    results,
    quality,
    quality_splits,
    quality_backbones,
    quality_ablation,
    quality_recipe,
    quality_width,
    quality_tests,
    precision,
    prototypes,
    steering,
    cold_items,
    cold_updates,
    sampled_quality,
)
