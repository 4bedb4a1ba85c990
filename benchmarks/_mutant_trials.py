r"""The trials of :mod:`benchmarks.mutation`: run the tests that execute a mutant."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import json
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from benchmarks._mutants import PACKAGE, Mutant

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ('functional', 'nn', 'transforms', 'utils', 'training', 'text', 'datasets')
DEFAULTS = 'tests/test_defaults.py'
TESTS = [
    *(f'tests/{folder}' for folder in FOLDERS),
    'tests/test_assemble.py',
    DEFAULTS,
    'tests/benchmarks/test_parity.py',
]
PYTEST = ['-q', '-s', '-p', 'no:cacheprovider', '--hypothesis-seed=0']
BROKEN = 3  # The exit code if a mutant cannot be applied.


class Tracer:
    r"""Record which tests execute which lines of the package."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.prefix = f'{tree / PACKAGE}{os.sep}'
        self.lines: set[tuple[str, int]] = set()

    def trace(self, frame: Any, event: str, arg: object) -> Any:
        path = frame.f_code.co_filename
        if not path.startswith(self.prefix):
            return None
        self.lines.add((os.path.relpath(path, self.tree), frame.f_lineno))
        return self.trace

    def run(self, session: pytest.Session, items: list[Any]) -> dict[str, Any]:
        r"""Run the tests. Return the seconds and lines of every test that passes."""
        record = {}
        for item, after in zip(items, [*items[1:], None]):
            self.lines, failed = set(), session.testsfailed
            started = time.process_time()
            sys.settrace(self.trace)
            threading.settrace(self.trace)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            if session.testsfailed == failed:
                seconds = time.process_time() - started
                record[item.nodeid] = {'seconds': seconds, 'lines': sorted(self.lines)}
        return record


class Suite:
    r"""The choice of tests for each mutant."""

    def __init__(self, record: dict[str, Any], limit: float) -> None:
        self.limit = limit
        self.seconds = {name: entry['seconds'] for name, entry in record.items()}
        self.tests: dict[str, dict[int, set[str]]] = defaultdict(
            lambda: defaultdict(set)
        )
        for name, entry in record.items():
            for path, line in entry['lines']:
                self.tests[path][line].add(name)

    def choose(self, mutant: Mutant) -> list[str]:
        r"""The tests that execute the mutated lines, those of the module first."""
        lines = self.tests[mutant.path]
        used = range(mutant.start[0], mutant.end[0] + 1) if mutant.is_body else lines
        names: set[str] = set()
        for line in used:
            names |= lines.get(line, set())
        if not mutant.is_body:  # These compare signatures without running a function.
            names |= {name for name in self.seconds if name.startswith(DEFAULTS)}
        place = Path(mutant.path).relative_to(PACKAGE)
        own = f'{Path("tests", place.parent).as_posix()}/'
        mirror = f'{own}test_{place.name}::'

        def order(name: str) -> tuple[bool, bool, float, str]:
            return (
                not name.startswith(mirror),
                not name.startswith(own),
                self.seconds[name],
                name,
            )

        chosen, left = [], self.limit
        for name in sorted(names, key=order):
            if self.seconds[name] <= left:
                left -= self.seconds[name]
                chosen.append(name)
        return chosen

    def cost(self, names: list[str]) -> float:
        return sum(self.seconds[name] for name in names)


def change(mutant: Mutant, tree: Path) -> None:
    r"""Apply a mutant to the imported functions of this process."""
    path = tree / mutant.path
    source = path.read_text()
    mutated = mutant.apply(source)
    old, new = (compile(text, str(path), 'exec') for text in (source, mutated))
    name = mutant.path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
    module = vars(sys.modules[name])
    if not mutant.scope:
        # A constant: run its assignment again.
        statement = _statement(mutated, mutant.start[0])
        try:
            exec(compile(statement, str(path), 'exec'), module)
        except Exception as error:
            raise ImportError(name) from error
        return
    codes = dict(_functions(old, new))
    functions = [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType  # isinstance() would accept proxies.
        and each.__code__.co_filename == str(path)
        and each.__code__ in codes
    ]
    if not functions:
        raise LookupError(f'{name} is not imported')
    if mutant.is_body:
        for function in functions:
            function.__code__ = codes[function.__code__]
        return
    # A default: evaluate all defaults of its function again.
    defined = _definition(ast.parse(mutated), mutant.scope.split('.')).args
    for function in functions:
        if function.__qualname__ == mutant.scope and function.__globals__ is module:
            plain, named = (
                [None if each is None else _value(each, module) for each in defaults]
                for defaults in (defined.defaults, defined.kw_defaults)
            )
            function.__defaults__ = tuple(plain) or None
            names = [argument.arg for argument in defined.kwonlyargs]
            function.__kwdefaults__ = {
                name: value
                for name, value in zip(names, named)
                if name in (function.__kwdefaults__ or {})
            } or None


def _functions(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    r"""Pair the functions and methods of a module with their mutated versions."""
    nested = [
        [each for each in code.co_consts if isinstance(each, CodeType)]
        for code in (old, new)
    ]
    for before, after in zip(*nested):
        if before.co_flags & inspect.CO_OPTIMIZED:
            yield before, after
        else:
            yield from _functions(before, after)


def _definition(tree: Any, scope: list[str]) -> Any:
    for name in scope:
        (tree, *_) = (each for each in tree.body if getattr(each, 'name', '') == name)
    return tree


def _statement(source: str, line: int) -> ast.Module:
    tree = ast.parse(source)
    tree.body = [
        each for each in tree.body if each.lineno <= line <= (each.end_lineno or 0)
    ]
    return tree


def _value(node: ast.expr, module: dict[str, Any]) -> object:
    return eval(ast.unparse(node), module)


class Child(NamedTuple):
    r"""A process that tries a mutant."""

    mutant: Mutant
    folder: Path
    deadline: float


class Mutation:
    r"""A pytest plugin that tries mutants instead of running the tests once."""

    def __init__(
        self, tree: Path, mutants: list[Mutant], workers: int, limit: float
    ) -> None:
        self.tree = tree
        self.mutants = mutants
        self.workers = workers
        self.limit = limit
        self.outcome: dict[Mutant, str] = {}
        self.problems: list[str] = []
        """Controls that failed, and mutants that could not be applied."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted('some tests cannot be collected')
        import_all()
        record = self.tree / 'trace.json'
        if (child := self.fork(self.tree)) == 0:
            record.write_text(json.dumps(Tracer(self.tree).run(session, session.items)))
            os._exit(0)
        os.waitpid(child, 0)
        self.try_all(session, Suite(json.loads(record.read_text()), self.limit))
        return True

    def fork(self, folder: Path) -> int:
        r"""Fork, and keep the output and temporary files of the child in a folder."""
        child = os.fork()
        if child == 0:
            os.setsid()
            log = os.open(folder / 'log.txt', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ['PYTEST_DEBUG_TEMPROOT'] = str(folder)
        return child

    def start(
        self, session: pytest.Session, mutant: Mutant, names: list[str], folder: Path
    ) -> int:
        r"""Fork a process for a mutant. Its exit code is 0 if all tests pass, 1 if one
        fails, and BROKEN if the mutant cannot be applied."""
        if (child := self.fork(folder)) != 0:
            return child
        code = BROKEN
        try:
            change(mutant, self.tree)
            code = 1
            places = {name: i for i, name in enumerate(names)}
            items = [item for item in session.items if item.nodeid in places]
            items.sort(key=lambda item: places[item.nodeid])
            for item, after in zip(items, [*items[1:], None]):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                if session.testsfailed:
                    break
            else:
                code = 0
        except ImportError:
            code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def try_all(self, session: pytest.Session, suite: Suite) -> None:
        running: dict[int, Child] = {}
        folders = [self.tree / f'worker{i}' for i in range(self.workers)]
        for folder in folders:
            folder.mkdir()
        queue = [*self.mutants]
        while queue or running:
            while queue and folders:
                mutant = queue.pop()
                names = suite.choose(mutant)
                if not names:
                    self.note(mutant, 'survived')
                    continue
                folder = folders.pop()
                deadline = time.monotonic() + 60 + 20 * suite.cost(names)
                child = self.start(session, mutant, names, folder)
                running[child] = Child(mutant, folder, deadline)
            time.sleep(0.01)
            for child, (mutant, folder, deadline) in [*running.items()]:
                ended, status = os.waitpid(child, os.WNOHANG)
                late = not ended and time.monotonic() > deadline
                if not (ended or late):
                    continue
                with suppress(ProcessLookupError):  # Also ends its own children.
                    os.killpg(child, signal.SIGKILL)
                if late:
                    os.waitpid(child, 0)
                del running[child]
                folders.append(folder)
                code = os.waitstatus_to_exitcode(status)
                if code == BROKEN or (code and mutant.operator == 'none'):
                    log = (folder / 'log.txt').read_text(errors='replace')
                    self.problems.append(f'{mutant.key}\n{log}')
                self.note(mutant, 'survived' if ended and code == 0 else 'killed')

    def note(self, mutant: Mutant, outcome: str) -> None:
        self.outcome[mutant] = outcome
        done = f'{len(self.outcome)}/{len(self.mutants)}'
        if mutant.operator != 'none':
            print(f'{done} {outcome}: {mutant.key}', file=sys.__stdout__, flush=True)


def import_all() -> None:
    r"""Import all modules, because only imported code can be changed."""
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f'{PACKAGE}.'):
        if '_triton' not in module.name:
            importlib.import_module(module.name)


def run_mutants(
    tree: Path, mutants: list[Mutant], workers: int, limit: float
) -> dict[Mutant, str]:
    r"""Try all mutants. Return for each whether it was killed or survived."""
    for name in [*sys.modules]:
        if name.partition('.')[0] in (PACKAGE, 'benchmarks', 'tests'):
            del sys.modules[name]
    sys.path.insert(0, str(tree))
    os.chdir(tree)
    mutation = Mutation(tree, mutants, workers, limit)
    if pytest.main([*PYTEST, *TESTS], [mutation]) != 0:
        raise SystemExit('error: the tests cannot be run')
    os.chdir(ROOT)
    if mutation.problems:
        raise SystemExit('\n'.join(mutation.problems))
    return mutation.outcome
