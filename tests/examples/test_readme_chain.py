"""The commands of the README, as it prints them, on the files of a stranger."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pyg_irllrec.text.intents.intent_file import load_intents, save_intents
from tests.cli.tables import isbn, write_books
from tests.examples.run_example import Done, run_example

pytest.importorskip('matplotlib')
pytest.importorskip('openai')
pytest.importorskip('pyarrow')

README = Path(__file__).parents[2] / 'README.md'
COMMAND = re.compile(
    r'^python examples/(own_data|extract_intents|explain)\.py (.*)$', re.MULTILINE
)


def readme_commands() -> list[tuple[str, list[str]]]:
    """The example and the arguments of each, as a shell reads them."""
    blocks = re.findall(r'```sh\n(.*?)```', README.read_text(), flags=re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ')
    return [(name, shlex.split(args)) for name, args in COMMAND.findall(lines)]


@pytest.fixture(scope='module')
def chain(tmp_path_factory) -> tuple[Path, list[tuple[str, Done]]]:
    folder = tmp_path_factory.mktemp('chain')
    write_books(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('OPENAI_API_KEY', 'none')
        return folder, [
            (name, run_example(name, *args, cwd=folder))
            for name, args in readme_commands()
        ]


def data_options() -> list[str]:
    """What the commands have in common."""
    name, args = readme_commands()[0]
    assert name == 'own_data'
    return args[: args.index('--recommend-for')]


def test_every_command_runs(chain):
    _, results = chain
    assert [name for name, _ in results] == [
        'own_data',
        'extract_intents',
        'extract_intents',
        'own_data',
        'explain',
    ]
    for name, done in results:
        assert done.returncode == 0, f'{name}: {done.stderr}'


def test_recommends_with_the_ids_that_came_in(chain):
    folder, results = chain
    with open(folder / 'runs' / 'books' / 'recommendations.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['user'] for row in rows] == ['anna'] * 10 + ['ben'] * 10
    assert [row['rank'] for row in rows[:10]] == [str(k) for k in range(1, 11)]
    with open(folder / 'ratings.tsv') as file:
        known = {
            (row['reader'], row['book']) for row in csv.DictReader(file, delimiter='\t')
        }
    # Neither what was held out nor what was disliked.
    assert {('anna', isbn(0)), ('ben', isbn(1))} <= known
    assert not known & {(row['user'], row['item']) for row in rows}
    assert {row['item'] for row in rows} <= {isbn(k) for k in range(30)}
    scores = [float(row['score']) for row in rows[:10]]
    assert scores == sorted(scores, reverse=True)
    metrics = json.loads((folder / 'runs' / 'books' / 'metrics.json').read_text())
    assert 'recall@20' in metrics
    own, dry = results[0][1], json.loads(results[1][1].stdout)
    assert 'User anna' in own.stdout and 'Book ' in own.stdout
    assert re.search(r'scores are a blend: graph [.\d]+, EASE [.\d]+\n', own.stdout)
    assert dry['calls'] == 70


def test_explains_the_items_that_were_recommended(chain):
    folder, results = chain
    out = results[-1][1].stdout
    run = folder / 'runs' / 'books-intents'
    with open(run / 'recommendations.csv') as file:
        best = [row['item'] for row in csv.DictReader(file) if row['user'] == 'anna']
    for rank, item in enumerate(best[:3], start=1):
        assert f'\n  {rank}. {item}: Book ' in out
    records = load_intents(folder / 'intents.jsonl').records
    (anna,) = (r for r in records if r.side == 'user' and r.id == 'anna')
    assert f'intents in words: {anna.intents[0].name}' in out
    assert ' leans to ' in out and ' like ' in out
    assert 'Latent intents of users' in out and 'Latent intents of items' in out
    assert (run / 'intent_map.png').read_bytes().startswith(b'\x89PNG')


def test_explains_what_is_asked(chain):
    folder, _ = chain
    asked = ('--recommend-for', 'ben', 'r3', '--why', isbn(7), isbn(7), isbn(5))
    # Options of the data may be given again.
    again = (*data_options(), '--intents', 'intents.jsonl')
    run = ('--run', 'runs/books-intents')
    done = run_example('explain', *run, *asked, *again, '--out', 'x.png', cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('\nUser ') == 2 and done.stdout.count('(score ') == 4
    assert (folder / 'x.png').is_file()


def test_explains_a_run_with_texts_alone(chain):
    folder, _ = chain
    args = ('--run', 'runs/books', '--recommend-for', 'anna', '--k', 2)
    done = run_example('explain', *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert '\n  1. ' in done.stdout and ' like ' in done.stdout
    assert 'leans to' in done.stdout and 'intents in words' not in done.stdout


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('--min-rating', '3'), 'with --min-rating 4.0: give the same here, got --min'),
        (('--sep', ','), r"with --sep '\\t': give the same here, got --sep ','"),
        (('--interactions', 'ratings.tsv'), 'must be given together'),
        (('--recommend-for', 'nobody'), '--recommend-for must name ids .* got nobody'),
        (('--why', 'x'), '--why must name ids that are in the graph, got x'),
        (('--run', 'nowhere'), 'must be a folder of own_data.py or irllrec.py'),
        (('--k', '0'), 'must be a positive integer'),
    ],
)
def test_wrong_questions_get_one_line(chain, args, message):
    done = run_example('explain', '--run', 'runs/books-intents', *args, cwd=chain[0])
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert re.search(message, done.stderr.splitlines()[-1]), done.stderr


def test_intents_of_other_options_name_the_option(chain):
    folder, _ = chain
    own = ('--intents', 'intents.jsonl', '--quiet', '--epochs', 1, '--out', 'other')
    options = data_options()
    place = options.index('--min-rating')
    without = options[:place] + options[place + 2 :]
    for args, message in (
        (without, 'with --min-rating 4.0: give the same here, got no --min-rating'),
        ((*options, '--split-seed', 3), 'with --split-seed 0: give the same here'),
        ((*options, '--k-core', 2), 'with --k-core 1: give the same here, got --k'),
    ):
        done = run_example('own_data', *args, *own, cwd=folder)
        assert done.returncode == 2 and message in done.stderr, done.stderr
        assert 'intents.jsonl' in done.stderr
    assert not (folder / 'other' / 'model').exists()


def test_intents_that_were_changed(chain, tmp_path):
    """The run keeps its own; a changed file is neither resumed nor explained with."""
    folder = tmp_path / 'copy'
    shutil.copytree(chain[0], folder)
    records, manifest = load_intents(folder / 'intents.jsonl')
    records[0] = replace(records[0], intents=records[1].intents)
    save_intents(folder / 'intents.jsonl', records, manifest)
    run = ('--run', 'runs/books-intents')
    done = run_example('explain', *run, '--intents', 'intents.jsonl', cwd=folder)
    assert done.returncode == 2 and 'was trained with, got others' in done.stderr
    assert run_example('explain', *run, cwd=folder).returncode == 0
    own = (*data_options(), '--intents', 'intents.jsonl', '--quiet')
    resumed = ('--out', 'runs/books-intents', '--resume')
    done = run_example('own_data', *own, *resumed, cwd=folder)
    assert done.returncode == 2 and 'intents_sha256' in done.stderr
    # Moved, but the same, the files are those of the run.
    (folder / 'ratings.tsv').rename(folder / 'moved.tsv')
    options = ['moved.tsv' if x == 'ratings.tsv' else x for x in data_options()]
    done = run_example('explain', *run, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    text = (folder / 'moved.tsv').read_text()
    (folder / 'moved.tsv').write_text(text + f'5\tben\tweb\t{isbn(3)}\t9\n')
    done = run_example('explain', *run, *options, cwd=folder)
    assert done.returncode == 2 and 'other data' in done.stderr, done.stderr
