r"""The figures of :mod:`benchmarks.readme` on correctness: parity, crashes, damaged
files and mutants."""

from __future__ import annotations

from benchmarks._figures import by, command, rows_of, table


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
        f'{len(others)} steps of other sizes, for every backbone with every alignment, '
        'were compared with the formulas written out with dense matrices '
        '([`formulas.py`](benchmarks/formulas.py), itself compared with the recorded '
        'steps). The largest relative error of total and gradients is '
        f'{largest:.0e}.'
    )


def extraction() -> str:
    rows = rows_of('extraction')
    (chaos,) = by(rows, case='chaos')
    speed = by(rows, case='speed')
    shares = ', '.join(
        f'{row["share"]:.0%} of it with {row["concurrency"]} threads (the bare client: '
        f'{row["bare_client_share"]:.0%})'
        for row in speed
    )
    same = 'is' if chaos['same_bytes'] else 'is not'
    return (
        f'{command("extraction")}:\n\n'
        f'- On the unreliable server, a run over {chaos["nodes"]} nodes was killed '
        f'{chaos["kills"]} times by SIGKILL. It ended with {chaos["ok"]} valid records '
        f'after {chaos["seconds"]} s. {chaos["records_lost"]} records were lost, and '
        f'{chaos["recorded_and_asked_again"]} recorded nodes were requested again. The '
        f'file {same} byte-for-byte identical to that of an uninterrupted run.\n'
        '- On the server with a fixed latency, the ideal rate is concurrency / latency '
        f'answers per second. The extraction reaches {shares}.'
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
        'requested again',
        'wrong',
        'nodes per CPU second: run / batch written / batch read',
        'peak MB',
    )
    return (
        f'{command("extraction_scale")}: Parquet shards and a model that answers at '
        'once. A run is killed by SIGKILL and started again each time; batch files are '
        f'written and read. Imports alone take {start} MB:\n\n{table(head, lines)}'
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
        f'\n\nThe trials of "{row["fault"]}" with {row["job"]} were {row["note"]}.'
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
        f'{killed["trials"]} processes were killed while they saved. The bundle was '
        f'the old one {killed["old"]} times, the new one {killed["new"]} times, '
        f'unreadable {killed["UNCLEAR"]} times and another one {killed["WRONG"]} times.'
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
    head = ('folder', *names, 'other survivors', 'killed / (tried - equivalent)')
    return f'{command("mutation")}:\n\n{table(head, lines)}'


FIGURES = (
    parity,
    extraction,
    extraction_scale,
    chaos,
    bundle_faults,
    fuzz,
    mutation,
)
