r"""The tables, significance tests and picture of :mod:`benchmarks.quality`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from scipy.stats import ttest_rel

from benchmarks._quality_arms import GROUPS, Arm, parse_arm
from benchmarks._quality_store import Case, Run, Store, read

Row = dict[str, Any]

MAIN = ('recall', 'ndcg')
OTHERS = ('precision', 'mrr', 'coverage', 'popularity')


def collect(
    store: Store, cells: Sequence[tuple[Case, Arm]], seeds: Sequence[int]
) -> list[Row]:
    """A row per cell with runs: the test metrics of its seeds."""
    rows = []
    for case, arm in cells:
        chosen = read(store.chosen_path(case, arm, seeds[0]))
        runs = {} if chosen is None else runs_of(store, case, arm, chosen, seeds)
        if runs:
            rows.append(
                {
                    'case': case.name,
                    'arm': arm.name,
                    'params': chosen['params'],
                    'seeds': list(runs),
                    'seconds': [run['seconds'] for run in runs.values()],
                    'best_epoch': [run['best_epoch'] for run in runs.values()],
                    'val': values_of(runs, 'val'),
                    'test': values_of(runs, 'test'),
                }
            )
    return rows


def runs_of(
    store: Store, case: Case, arm: Arm, chosen: Run, seeds: Sequence[int]
) -> dict[int, Run]:
    """The successful runs by seed. If the result does not depend on the seed, the run
    of the first seed serves all."""
    runs = {}
    for seed in seeds:
        used = seed if case.draws(arm) else seeds[0]
        run = read(store.path(case, arm, chosen['params'], used))
        if run is not None and 'error' not in run:
            runs[seed] = run
    return runs


def values_of(runs: dict[int, Run], part: str) -> dict[str, list[float]]:
    first = next(iter(runs.values()))[part]
    return {
        name: [round(run[part][name], 6) for run in runs.values()] for name in first
    }


# Tables.


def table(rows: Sequence[Row], metrics: Sequence[str] = MAIN) -> str:
    """One row per arm and one column per case: mean and deviation over seeds."""
    shown = {(row['arm'], row['case']): row for row in rows}

    def cell(arm: str, case: str) -> str:
        row = shown.get((arm, case))
        if row is None:
            return ''
        return ' / '.join(mean_and_deviation(row['test'][name]) for name in metrics)

    return grid(rows, cell)


def cold_table(rows: Sequence[Row]) -> str:
    """The Recall of each quarter of users, ordered by their number of training
    interactions."""
    shown = {(row['arm'], row['case']): row['test'] for row in rows}

    def cell(arm: str, case: str) -> str:
        test = shown.get((arm, case), {})
        groups = [test.get(f'recall/{number}') for number in range(1, GROUPS + 1)]
        return ' / '.join(f'{statistics.fmean(each):.4f}' for each in groups if each)

    return grid(rows, cell)


def seconds_table(rows: Sequence[Row]) -> str:
    shown = {(row['arm'], row['case']): row['seconds'] for row in rows}

    def cell(arm: str, case: str) -> str:
        seconds = shown.get((arm, case))
        return '' if seconds is None else f'{statistics.fmean(seconds):.3g}'

    return grid(rows, cell)


def grid(rows: Sequence[Row], cell: Callable[[str, str], str]) -> str:
    cases = list(dict.fromkeys(row['case'] for row in rows))
    arms = list(dict.fromkeys(row['arm'] for row in rows))
    lines = [[arm, *(cell(arm, case) for case in cases)] for arm in arms]
    return markdown(['arm', *cases], lines)


def mean_and_deviation(values: Sequence[float]) -> str:
    mean = statistics.fmean(values)
    digits = 4 if mean < 10 else 1
    text = f'{mean:.{digits}f}'
    if len(set(values)) > 1:
        text += f' ± {statistics.stdev(values):.{digits}f}'
    return text


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(head), *(list(line) for line in lines)]
    text = [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join([text[0], '|---' * len(rows[0]) + '|', *text[1:]])


# Significance tests.


class Comparison(NamedTuple):
    case: str
    new: str
    old: str
    metric: str
    difference: float
    """The relative difference of the means."""
    seeds: int
    p: Optional[float]
    """The p-value of a paired t-test with Holm's correction. None if the difference is
    the same for all seeds."""


def opponents(arm: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """The arms to compare an arm with. Any arm: itself without texts. A blend: EASE.
    The default: EASE without texts and with its texts, and all other graph models
    without texts."""
    found = []
    for other in arms:
        if arm.model == 'auto' and other.model == 'ease' and other.text == arm.text:
            found.append(other)
            continue
        if other.text != 'none' or other == arm:
            continue
        same = arm.name.replace(f'-{arm.text}', '') == other.name.replace('-none', '')
        best = other.model == 'ease' and (arm.blend or arm.model == 'auto')
        plain = arm.model == 'auto' and not other.closed
        if same or best or plain:
            found.append(other)
    return found


def compare(rows: Sequence[Row]) -> list[Comparison]:
    """Compare the arms of each case, on the seeds that both have."""
    found = []
    by_cell = {(row['case'], row['arm']): row for row in rows}
    for case in dict.fromkeys(row['case'] for row in rows):
        arms = [parse_arm(row['arm']) for row in rows if row['case'] == case]
        for arm in arms:
            for other in opponents(arm, arms):
                pair = by_cell[case, arm.name], by_cell[case, other.name]
                found += [compare_pair(*pair, metric) for metric in MAIN]
    return holm(found)


def compare_pair(new: Row, old: Row, metric: str) -> Comparison:
    seeds = [seed for seed in new['seeds'] if seed in old['seeds']]
    values = [
        [row['test'][metric][row['seeds'].index(seed)] for seed in seeds]
        for row in (new, old)
    ]
    p = None
    if len({round(a - b, 6) for a, b in zip(*values)}) > 1:
        p = float(ttest_rel(*values).pvalue)
    means = [statistics.fmean(each) for each in values] if seeds else [math.nan] * 2
    difference = means[0] / means[1] - 1 if means[1] else math.nan
    cell = new['case'], new['arm'], old['arm']
    return Comparison(*cell, metric, difference, len(seeds), p)


def holm(found: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with p-values after Holm's correction."""
    tested = [k for k, each in enumerate(found) if each.p is not None]
    corrected = list(found)
    least = 0.0
    for rank, k in enumerate(sorted(tested, key=lambda k: found[k].p or 0.0)):
        least = max(least, min(1.0, (len(tested) - rank) * (found[k].p or 0.0)))
        corrected[k] = found[k]._replace(p=least)
    return corrected


def comparison_table(found: Sequence[Comparison]) -> str:
    lines = []
    for recall, ndcg in zip(found[::2], found[1::2]):
        cells = [
            f'{each.difference:+.1%} ({"" if each.p is None else f"p {each.p:.2g}"})'
            for each in (recall, ndcg)
        ]
        cells = [cell.removesuffix(' ()') for cell in cells]
        lines.append(
            [recall.case, f'{recall.new} vs {recall.old}', *cells, str(recall.seeds)]
        )
    head = ('data', 'comparison', 'Recall@20', 'NDCG@20', 'seeds')
    return markdown(head, lines)


def report(rows: Sequence[Row]) -> str:
    parts = [
        f'Recall@20 / NDCG@20, test:\n\n{table(rows)}',
        'Precision@20 / MRR@20 / coverage@20 / mean popularity of recommended items:'
        '\n\n' + table(rows, OTHERS),
        'Recall@20 by quarter of users, the least active first:\n\n' + cold_table(rows),
        'Seconds per run:\n\n' + seconds_table(rows),
    ]
    if found := compare(rows):
        parts.append(
            "Paired t-tests over seeds, Holm's correction over this table:\n\n"
            + comparison_table(found)
        )
    return '\n\n'.join(parts)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw one panel per case, with a dot per arm and its deviation as a bar."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(row['case'] for row in rows))
    arms = list(dict.fromkeys(row['arm'] for row in rows))[::-1]
    columns = min(4, len(cases))
    lines = -(-len(cases) // columns)
    figure, panels = plt.subplots(
        lines,
        columns,
        sharey=True,
        squeeze=False,
        figsize=(1.5 + 2.0 * columns, 0.5 + lines * (0.8 + 0.24 * len(arms))),
        layout='constrained',
    )
    for panel in panels.flat[len(cases) :]:
        panel.set_visible(False)
    for panel, case in zip(panels.flat, cases):
        for metric, marker in zip(MAIN, 'os'):
            mine = [row for row in rows if row['case'] == case]
            values = [row['test'][metric] for row in mine]
            panel.errorbar(
                [statistics.fmean(each) for each in values],
                [arms.index(row['arm']) for row in mine],
                xerr=[statistics.pstdev(each) for each in values],
                fmt=marker,
                markersize=5,
                label=f'{"Recall" if metric == "recall" else "NDCG"}@20',
            )
        panel.set_title(case)
        panel.grid(axis='x', alpha=0.3)
    panels[0, 0].set_yticks(range(len(arms)), arms)
    figure.legend(
        *panels[0, 0].get_legend_handles_labels(), loc='outside lower center', ncols=2
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
