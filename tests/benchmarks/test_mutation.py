from __future__ import annotations

import ast
import json
import sys
from types import ModuleType

import pytest

from benchmarks._mutant_trials import Suite, change
from benchmarks._mutants import Mutant, Mutator
from benchmarks.mutation import RESULTS, count, table

SOURCE = '''\
LIMIT = 3


def scale(x, by=2):
    """Not 1."""
    if x < LIMIT:
        raise ValueError(f'{x} is below {LIMIT - 1}')
    return dict(value=x * by)


class Base:
    def name(self, much=True):
        return 'base'


class Named(Base):
    def name(self, *, much=True):
        size = 10
        return super().name() if much else self.hidden(size)
'''
PATH = 'pyg_irllrec/toy.py'


def find(text: str) -> Mutant:
    (found,) = (
        mutant
        for mutant in Mutator(PATH, SOURCE).mutants
        if f'{mutant.before} -> {mutant.after}' == text
    )
    return found


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / 'pyg_irllrec').mkdir()
    (tmp_path / PATH).write_text(SOURCE)
    module = ModuleType('pyg_irllrec.toy')
    monkeypatch.setitem(sys.modules, 'pyg_irllrec.toy', module)
    exec(compile(SOURCE, str(tmp_path / PATH), 'exec'), vars(module))
    return module


def test_mutates_code_but_no_strings():
    changes = {
        f'{mutant.before} -> {mutant.after}' for mutant in Mutator(PATH, SOURCE).mutants
    }
    assert changes == {
        '3 -> 4',
        '2 -> 3',
        'x < LIMIT -> x <= LIMIT',
        "raise ValueError(f'{x} is below {LIMIT - 1}') -> pass",
        'dict(value=x * by) -> None',
        'dict(value=x * by) -> dict()',
        'x * by -> x / by',
        'True -> False',
        "'base' -> None",
        '10 -> 11',
        'much -> not much',
        'super().name() if much else self.hidden(size) -> None',
    }


def test_every_mutant_is_a_module_with_one_change():
    for mutant in Mutator(PATH, SOURCE).mutants:
        mutated = mutant.apply(SOURCE)
        ast.parse(mutated)
        assert mutated != SOURCE
    control = find('x < LIMIT -> x <= LIMIT')._replace(after='x < LIMIT')
    ast.parse(control.apply(SOURCE))


def test_a_change_reaches_imported_functions(tmp_path, toy):
    scale = toy.scale  # As a test would import it.
    change(find('2 -> 3'), tmp_path)
    assert scale(3) == {'value': 9}
    change(find('3 -> 4'), tmp_path)
    assert toy.LIMIT == 4
    change(find('x < LIMIT -> x <= LIMIT'), tmp_path)
    with pytest.raises(ValueError, match='4 is below'):
        scale(4)


def test_a_method_keeps_its_closure(tmp_path, toy):
    named = toy.Named()
    assert named.name() == 'base'
    change(find('super().name() if much else self.hidden(size) -> None'), tmp_path)
    assert named.name() is None


def test_code_that_is_not_imported_cannot_be_changed(tmp_path, toy, monkeypatch):
    (tmp_path / 'pyg_irllrec' / 'other.py').write_text(SOURCE)
    monkeypatch.setitem(sys.modules, 'pyg_irllrec.other', ModuleType('other'))
    mutant = find('x * by -> x / by')._replace(path='pyg_irllrec/other.py')
    with pytest.raises(LookupError, match='is not imported'):
        change(mutant, tmp_path)
    assert toy.scale(3) == {'value': 6}


def test_tests_of_the_mutated_module_run_first():
    mutant = find('x < LIMIT -> x <= LIMIT')
    line = [PATH, mutant.line]
    record = {
        'tests/nn/test_other.py::a': {'seconds': 1.0, 'lines': [line]},
        'tests/test_toy.py::b': {'seconds': 3.0, 'lines': [line]},
        'tests/test_toy.py::c': {'seconds': 2.0, 'lines': [line]},
        'tests/test_toy.py::d': {'seconds': 1.0, 'lines': [[PATH, 1]]},
    }
    names = Suite(record, 10).choose(mutant)
    assert names == [
        'tests/test_toy.py::c',
        'tests/test_toy.py::b',
        'tests/nn/test_other.py::a',
    ]
    assert Suite(record, 4).choose(mutant) == [names[0], names[2]]


def test_counts_survivors_by_verdict():
    keys = {
        'pyg_irllrec/nn/a.py | f': 'equivalent',
        'pyg_irllrec/nn/b.py | f': 'accepted',
        'pyg_irllrec/nn/b.py | g': '',
        'pyg_irllrec/utils/a.py | f': 'accepted',
    }
    report = {
        'rows': [{'path': 'nn', 'tried': 11}, {'path': 'utils/a.py', 'tried': 4}],
        'survivors': [
            {'key': key, 'verdict': verdict} for key, verdict in keys.items()
        ],
    }
    count(report)
    assert report['rows'][0] == {
        'path': 'nn',
        'tried': 11,
        'survived': 3,
        'killed': 8,
        'equivalent': 1,
        'accepted': 1,
        'ratio': 0.8,
    }
    assert report['rows'][1]['survived'] == 1 and report['rows'][1]['ratio'] == 0.75


def test_table():
    rows = [{'path': 'nn', 'killed': 3}, {'path': 'text', 'killed': 4}]
    assert table(rows).splitlines()[2:] == ['| nn | 3 |', '| text | 4 |']


def test_the_committed_survivors_are_explained():
    report = json.loads(RESULTS.read_text())
    for entry in report['survivors']:
        assert entry['verdict'] in ('equivalent', 'accepted', 'open')
        assert len(entry['reason']) > 10, entry['key']
    for row in report['rows']:
        assert row['tried'] >= 150 and row['ratio'] >= 0.9, row
