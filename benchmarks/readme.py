r"""Write the figures of README.md and the docs from the JSON of the benchmarks.

    python -m benchmarks.readme

Between the lines <!-- figures: NAME --> and <!-- end --> of the README, and of the
pages under docs, stands what the function NAME of this module makes of
benchmarks/results. A test finds regions that are not as they would be written, and
figures outside of them. A second.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import _data_parallel, _distributed_report, _gpu_report
from benchmarks import cold_items as cold_items_benchmark
from benchmarks import info_nce as info_nce_benchmark
from benchmarks import intent_propagate as intent_propagate_benchmark
from benchmarks import item_index as item_index_benchmark
from benchmarks import recommend_all as recommend_all_benchmark
from benchmarks import sampled as sampled_benchmark
from benchmarks import sampling_eval as sampling_eval_benchmark
from benchmarks import scale as scale_benchmark
from benchmarks import train_step as train_step_benchmark
from benchmarks._quality_report import (
    MAIN,
    compare,
    comparison_table,
    grid,
    seconds_table,
)
from benchmarks._quality_report import table as quality_table
from benchmarks.out_of_core import table as out_of_core_table
from benchmarks.precision import table as precision_table
from benchmarks.prototypes import table as prototypes_table
from benchmarks.serving_load import table as serving_load_table
from benchmarks.steering import table as steering_table
from benchmarks.transforms_memory import table as transforms_memory_table

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')))
RESULTS = Path(__file__).parent / 'results'
REGION = re.compile(r'(?<=<!-- figures: )(?P<name>\w+) -->\n.*?\n?<!-- end -->', re.S)
EQUAL = 1e-5
"""Above this error, numbers are not called the same."""

Row = dict[str, Any]


def main() -> int:
    for page in PAGES:
        page.write_text(render(page), encoding='utf-8')
    return 0


def render(page: Path) -> str:
    """A page with its regions written anew."""
    up = '../' * (len(page.relative_to(ROOT).parts) - 1)
    return render_text(page.read_text(encoding='utf-8'), up)


def render_text(text: str, up: str = '') -> str:
    """A text with its regions written anew; :obj:`up` leads to the repository."""

    def write(region: re.Match[str]) -> str:
        name = region['name']
        if name not in FIGURES:
            raise SystemExit(f'error: there are no figures {name!r}')
        figures = FIGURES[name]().replace('](benchmarks/', f']({up}benchmarks/')
        return f'{name} -->\n{figures}\n<!-- end -->'

    return REGION.sub(write, text)


# What was measured.


def report(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f'{name}.json').read_text())
    return found


def rows_of(name: str) -> list[Row]:
    rows: list[Row] = report(name)['rows']
    return rows


def command(name: str) -> str:
    """What made a JSON, without the names of files."""
    words = report(name)['command'].split()
    if words[1] != '-m':
        words[1:2] = ['-m', f'benchmarks.{Path(words[1]).stem}']
    kept = [
        word
        for place, word in enumerate(words)
        if not {word, words[place - 1]} & {'--json', '--png'}
    ]
    return f'`{" ".join(kept)}` ([JSON](benchmarks/results/{name}.json))'


def machine(name: str) -> str:
    environment = report(name)['environment']
    threads = environment['threads']
    cores = f'{threads} core{"s" if threads > 1 else ""}'
    torch = '.'.join(environment['torch'].split('+')[0].split('.')[:2])
    return f'{cores} of an {environment["processor"]}, torch {torch}'


# How it is written.


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rows = [list(head), *lines]
    text = [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join([text[0], '|---' * len(rows[0]) + '|', *text[1:]])


def seconds(value: float) -> str:
    if value >= 10:
        return f'{value:.0f} s'
    return f'{value:.2f} s' if value >= 0.1 else f'{1e3 * value:.3g} ms'


def megabytes(value: float) -> str:
    return f'{value:.0f} MB' if value < 1000 else f'{value / 1000:.1f} GB'


def peers(rows: list[Row]) -> str:
    """All peers of all cases, each beside the first of its case."""
    first: dict[str, float] = {}
    lines = []
    for row in rows:
        base = first.setdefault(row['case'], row['seconds'])
        error = row['max_error']
        mark = ' †' if error is not None and not error <= EQUAL else ''
        lines.append(
            [
                row['case'],
                row['impl'],
                seconds(row['seconds']),
                f'{base / row["seconds"]:.3g}',
                megabytes(row['extra_mb']),
                '' if error is None else f'{error:.0e}{mark}',
            ]
        )
    head = (
        'case', 'implementation', 'time', 'x the first', 'extra memory', 'error'
    )  # fmt: skip
    text = table(head, lines)
    if any('†' in line[-1] for line in lines):
        text += '\n\n† Off by more than 1e-5: not the same numbers.'
    return text


def missed(lines: list[str]) -> str:
    """The targets of a benchmark that its figures do not reach."""
    names = [line.removesuffix(': NO)') + ')' for line in lines if 'NO)' in line]
    return f'\n\nTargets missed: {"; ".join(names)}.' if names else ''


def by(rows: list[Row], **values: object) -> list[Row]:
    return [row for row in rows if all(row[k] == v for k, v in values.items())]


def mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)


# The regions.


def has_gpu() -> bool:
    """Whether there are figures of a GPU, and not of a dry run."""
    path = RESULTS / 'gpu.json'
    return path.exists() and not json.loads(path.read_text())['dry']


def gpu() -> str:
    """All that was measured on a GPU, if anything was."""
    if not has_gpu():
        return NO_GPU
    rows = rows_of('gpu')
    winners = ''.join(f'\n- {line}' for line in _gpu_report.winners(rows))
    return (
        f'{command("gpu")}, {gpu_machine()}, float32 unless said:\n\n'
        f'{_gpu_report.table(rows)}\n\nThe best blocks:\n{winners}{gpu_missed(rows)}'
    )


def gpu_summary() -> str:
    """The goals on a GPU."""
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


NO_GPU = (
    'Nothing of this version is measured on a GPU yet: `python -m benchmarks.gpu` '
    'takes every figure when there is one.'
)


def gpu_machine() -> str:
    environment = report('gpu')['environment']
    torch = '.'.join(environment['torch'].split('.')[:2])
    return f'{environment["gpu"]}, torch {torch}'


def gpu_missed(rows: list[Row]) -> str:
    lines = _gpu_report.missed(rows)
    return f'\n\nGoals missed: {"; ".join(lines)}.' if lines else ''


def parity() -> str:
    rows = rows_of('parity')
    goldens = [row for row in rows if 'seed' not in row['model']]
    others = [row for row in rows if 'seed' in row['model']]
    largest = max(max(row['total'], row['gradients']) for row in others)
    parts = ('total', 'terms', 'gradients')
    lines = [[row['model'], *(f'{row[part]:.0e}' for part in parts)] for row in goldens]
    return (
        f'{command("parity")}, the largest relative error of the total, of any term '
        'and of any gradient (in norm), float32:\n\n'
        f'{table(("model", *parts), lines)}\n\n'
        f'In {len(others)} steps of other sizes, every backbone with every alignment, '
        'against the formulas written out with dense matrices '
        '([`formulas.py`](benchmarks/formulas.py), itself compared with the recorded '
        f'steps), total and gradients are off by {largest:.0e} at most.'
    )


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
"""The arms of the README by what it calls them."""


def results() -> str:
    """What the README has room for: Recall alone, the best of each dataset in bold."""
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
    """Means, the best of each dataset in bold."""
    rows = rows_of('quality')
    most = max(len(row['seeds']) for row in rows)
    fewer = ''
    if any(len(row['seeds']) < most for row in rows):
        fewer = ' (where fewer were run, their number is in brackets)'
    return (
        f'{quality_command()}, Recall@20 / NDCG@20 on the test part, mean of {most} '
        f'seeds{fewer}, the best of each dataset in bold:\n\n'
        f'{best_table(rows, most)}\n\n'
        '![Recall and NDCG of every arm on every dataset]'
        '(benchmarks/results/quality.png)'
    )


def quality_splits() -> str:
    """The same models where the split is another."""
    tables = [
        f'{quality_command(name)}, Recall@20 / NDCG@20 on the test part, mean ± '
        f'deviation of the seeds:\n\n{quality_table(rows_of(name))}'
        for name in ('quality_time', 'quality_leave_one_out')
    ]
    return '\n\n'.join(tables)


def quality_backbones() -> str:
    """Backbones with real, shuffled and no texts."""
    rows = rows_of('quality_backbones')
    return (
        f'{quality_command("quality_backbones")}, Recall@20 / NDCG@20 on the test '
        f'part, mean ± deviation of the seeds:\n\n{quality_table(rows)}\n\n'
        "Paired t-tests over seeds, Holm's correction over all of them:\n\n"
        f'{comparison_table(compare(rows))}'
    )


def quality_recipe() -> str:
    """Backbones as their authors run them."""
    return (
        f'{quality_command("quality_recipe")}, Recall@20 / NDCG@20 on the test part:'
        f'\n\n{quality_table(rows_of("quality_recipe"))}'
    )


def quality_tests() -> str:
    """The same runs with their deviations, tests and seconds."""
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
    """Means; how many seeds they are of, where these are fewer than :obj:`seeds`."""
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


def train_step() -> str:
    rows = rows_of('train_step')
    return (
        f'{command("train_step")}, {machine("train_step")}:\n\n{peers(rows)}'
        f'{missed(train_step_benchmark.targets(rows))}'
    )


def info_nce() -> str:
    rows, large = rows_of('info_nce'), rows_of('info_nce_large')
    return (
        f'{command("info_nce")}, {machine("info_nce")}; the largest case of '
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


def serving_load() -> str:
    return (
        f'{command("serving_load")}, service and clients on '
        f'{machine("serving_load")}:\n\n{serving_load_table(rows_of("serving_load"))}'
    )


def approximation() -> str:
    return command('approximation')


def scale() -> str:
    return f'{command("scale")}:\n\n{scale_benchmark.table(rows_of("scale"))}'


def data_pipeline() -> str:
    lines = [
        [row['step'], f'{row["seconds"]:.1f}', f'{row["peak_mb"] / 1000:.1f} GB']
        for row in rows_of('data_pipeline')
        if row['step'] != 'open'
    ]
    head = ('step', 'seconds', 'peak memory of the process')
    return f'{command("data_pipeline")}:\n\n{table(head, lines)}'


def distributed_train() -> str:
    rows = rows_of('distributed_train')
    off = max(
        max(row['loss_error'], row['gradient_error']) for row in by(rows, case='strong')
    )
    return (
        f'{command("distributed_train")}. Loss and gradients of 2 to 4 processes are '
        f'those of one within {off:.0e}:\n\n{table(*_data_parallel.table(rows))}'
    )


def distributed_model() -> str:
    rows = rows_of('distributed_model')
    return (
        f'{command("distributed_model")}, of a process in a step:\n\n'
        f'{table(*_distributed_report.model_table(rows))}'
    )


def distributed_large() -> str:
    rows = rows_of('distributed_large')
    return (
        f'{command("distributed_large")}, four processes on two cores that other jobs '
        'used too: of the times, those of the CPU count:\n\n'
        f'{table(*_distributed_report.large_table(rows))}'
    )


def distributed_shards() -> str:
    rows = rows_of('distributed_shards')
    errors = [row['max_error'] for row in rows if row['case'] == 'equality']
    scaling = [row for row in rows if row['case'] != 'equality']
    return (
        f'{command("distributed_shards")}. The losses of 2 to 4 processes are those of '
        f'one within {max(errors):.0e}, three steps of Adam. '
        'Several processes share two cores:\n\n'
        f'{table(*_distributed_report.scaling_table(scaling))}'
    )


def distributed_prediction() -> str:
    return table(*_distributed_report.prediction_table())


def sampled_quality() -> str:
    rows = sampled_benchmark.quality_table(rows_of('sampled'))
    return f'{command("sampled")}, test part, one seed:\n\n{table(*rows)}'


def sampled_bias() -> str:
    rows = sampled_benchmark.bias_table(rows_of('sampled'))
    return f'Over {sampled_benchmark.DRAWS} draws:\n\n{table(*rows)}'


def sampled_cost() -> str:
    rows = sampled_benchmark.cost_table(rows_of('sampled'))
    return (
        'A training step of LightGCN with three layers of width 64, 1024 triplets and '
        'five interactions per node. The peak is above the memory before the step, in '
        f'which the tables and Adam are already:\n\n{table(*rows)}'
    )


def out_of_core() -> str:
    rows = rows_of('out_of_core')
    return f'{command("out_of_core")}:\n\n{out_of_core_table(rows)}'


def transforms_memory() -> str:
    rows = rows_of('transforms_memory')
    return f'{command("transforms_memory")}:\n\n{transforms_memory_table(rows)}'


def extraction() -> str:
    rows = rows_of('extraction')
    (chaos,) = by(rows, case='chaos')
    speed = by(rows, case='speed')
    shares = ', '.join(
        f'{row["share"]:.0%} with {row["concurrency"]} threads (the bare client: '
        f'{row["bare_client_share"]:.0%})'
        for row in speed
    )
    same = (
        'the same file byte by byte as' if chaos['same_bytes'] else 'another file than'
    )
    return (
        f'{command("extraction")}: {chaos["nodes"]} nodes, killed {chaos["kills"]} '
        f'times by SIGKILL: {chaos["ok"]} valid records, {chaos["records_lost"]} lost, '
        f'{chaos["recorded_and_asked_again"]} recorded and asked again, {same} an '
        f'undisturbed run, {chaos["seconds"]} s. Of concurrency / latency it reaches '
        f'{shares}.'
    )


def extraction_scale() -> str:
    rows = rows_of('extraction_scale')
    lines = []
    for killed in by(rows, case='killed'):
        (batch,) = by(rows, case='batch', nodes=killed['nodes'])
        used = (killed, batch['write'], batch['read'])
        lines.append(
            [
                f'{killed["nodes"]:,}',
                ', '.join(f'{stored:,}' for stored in killed['stored_at_kills']),
                str(killed['recorded_and_asked_again']),
                str(killed['wrong'] + batch['wrong']),
                ' / '.join(f'{each["nodes_per_cpu_second"]:,}' for each in used),
                ' / '.join(str(each['peak_mb']) for each in used),
            ]
        )
    start = min(row['mb_after_imports'] for row in by(rows, case='killed'))
    head = (
        'nodes',
        'stored when killed',
        'asked again',
        'wrong',
        'nodes per CPU second: run / batch written / read',
        'peak MB',
    )
    return (
        f'{command("extraction_scale")}: Parquet shards and a model that answers at '
        'once; a run that is killed by SIGKILL and goes on each time, and batch files; '
        f'{start} MB are there after imports:\n\n{table(head, lines)}'
    )


def exact_contrast() -> str:
    rows = by(rows_of('info_nce') + rows_of('info_nce_large'), impl='chunked')
    rows = [row for row in rows if row['case'].startswith('n=')]  # All with all.
    times = ', '.join(f'{seconds(row["seconds"])} for {row["case"]}' for row in rows)
    return (
        '- Exact translation alignment contrasts all nodes with all nodes: its time '
        f'grows with $N^2$ ({times}), its memory with $N$. For more nodes, use '
        "`translation_impl='moments'`."
    )


def chaos() -> str:
    rows = rows_of('chaos')
    names = ('trials', 'kills', 'equal', 'refused', 'UNCLEAR', 'LOST', 'WRONG')
    lines = [
        [fault, *(str(sum(row[name] for row in found)) for name in names)]
        for fault in dict.fromkeys(row['fault'] for row in rows)
        if (found := by(rows, fault=fault))
    ]
    total = [str(sum(row[name] for row in rows)) for name in names]
    notes = ''.join(
        f'\n\n{row["job"]}, {row["fault"]}: {row["note"]}.'
        for row in rows
        if 'note' in row
    )
    jobs = ', '.join(dict.fromkeys(row['job'].replace('_', ' ') for row in rows))
    head = ('fault', *names)
    return (
        f'{command("chaos")}, jobs: {jobs}:\n\n{table(head, [*lines, ["all", *total]])}'
        f'{notes}'
    )


def bundle_faults() -> str:
    killed, *damaged = rows_of('bundle_faults')
    names = ('trials', 'equal', 'refused', 'read', 'UNCLEAR', 'WRONG')
    lines = [[row['fault'], *(str(row[name]) for name in names)] for row in damaged]
    return (
        f'{command("bundle_faults")}:\n\n{table(("fault", *names), lines)}\n\n'
        f'{killed["trials"]} savers were killed: {killed["old"]} times the old bundle '
        f'was loaded, {killed["new"]} times the new one, {killed["UNCLEAR"]} times '
        f'none and {killed["WRONG"]} times another.'
    )


def fuzz() -> str:
    rows = rows_of('fuzz')
    names = ('mutants', 'read', 'refused', 'faults')
    lines = [
        [row['door'].replace('_', ' '), *(str(row[name]) for name in names)]
        for row in rows
    ]
    total = [str(sum(row[name] for row in rows)) for name in names]
    head = ('door', *names)
    return f'{command("fuzz")}:\n\n{table(head, [*lines, ["all", *total]])}'


def mutation() -> str:
    rows = rows_of('mutation')
    names = ('mutants', 'tried', 'killed', 'equivalent')
    lines = [
        [
            row['path'],
            *(str(row[name]) for name in names),
            str(row['tried'] - row['killed'] - row['equivalent']),
            f'{row["ratio"]:.3f}',
        ]
        for row in rows
    ]
    head = ('folder', *names, 'others that survived', 'killed of those that differ')
    return f'{command("mutation")}:\n\n{table(head, lines)}'


def steering() -> str:
    rows = rows_of('steering')
    seeds = len({row['seed'] for row in rows})
    return (
        f'{command("steering")}, share of the top 20 with the intent / Recall@20, mean '
        f'of {seeds} seeds:\n\n{steering_table(rows)}\n\n'
        '![Recall against the share of the wanted intent, by the dial]'
        '(benchmarks/results/steering.png)'
    )


def item_index() -> str:
    rows = rows_of('item_index')
    return f'{command("item_index")}:\n\n{item_index_benchmark.table(rows)}'


def recommend_all() -> str:
    rows = rows_of('recommend_all')
    return f'{command("recommend_all")}:\n\n{recommend_all_benchmark.table(rows)}'


def cold_items() -> str:
    table = cold_items_benchmark.items_table(rows_of('cold_items'))
    return f'{command("cold_items")}, Recall@20:\n\n{table}'


def cold_updates() -> str:
    table = cold_items_benchmark.updates_table(rows_of('cold_items'))
    return f'The same command, Recall@20 of the test set:\n\n{table}'


FIGURES: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        parity,
        precision,
        prototypes,
        results,
        quality,
        quality_backbones,
        quality_recipe,
        quality_splits,
        quality_tests,
        train_step,
        info_nce,
        intent_propagate,
        sampling_eval,
        serving_load,
        approximation,
        scale,
        data_pipeline,
        out_of_core,
        transforms_memory,
        sampled_quality,
        sampled_bias,
        sampled_cost,
        distributed_train,
        distributed_model,
        distributed_large,
        distributed_shards,
        distributed_prediction,
        extraction,
        extraction_scale,
        exact_contrast,
        chaos,
        fuzz,
        bundle_faults,
        mutation,
        steering,
        item_index,
        recommend_all,
        cold_items,
        cold_updates,
        gpu,
        gpu_summary,
    )
}


if __name__ == '__main__':
    sys.exit(main())
