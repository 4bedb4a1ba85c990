r"""Mutation testing: check that the tests notice changes of the code.

    python -m benchmarks.mutation --sample 150 --workers 2
    python -m benchmarks.mutation --paths nn/loss utils/checks.py
    python -m benchmarks.mutation --again
    python -m benchmarks.mutation --recount

A mutant changes one expression or statement of the package. The tests that execute this
line must fail; otherwise the mutant survives. Without --sample all mutants are tried,
which takes hours. Everything runs in a copy of the tree. The results are written to
benchmarks/results/mutation.json. There, each survivor has a verdict ('equivalent',
'accepted' or 'open') and a reason, both written by hand. They are kept as long as the
mutant survives. --again tries the last survivors again, and --recount counts again
after the verdicts have changed.

Torch is imported once, and every mutant is tried in a fork of that process. One traced
run of the suite finds the tests that execute each line. The tests of the mutated module
run first, and the first failure ends the trial. Tests beyond --limit seconds are not
run, so that some of the survivors could be killed by the whole suite.

Not mutated: strings, f-strings, docstrings, annotations, decorators, errors and
warnings, assert statements, and Triton kernels.
"""

from __future__ import annotations

import argparse
import ast
import copy
import gc
import importlib
import inspect
import json
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from benchmarks.harness import command, environment

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results' / 'mutation.json'
PACKAGE = 'pyg_irllrec'
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

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {'min': 'max', 'max': 'min', 'any': 'all', 'all': 'any', 'amin': 'amax'}
NAMES |= {'amax': 'amin', 'sum': 'mean', 'mean': 'sum', 'ceil': 'floor'}
METHODS = {'sum', 'mean', 'ceil'}  # Swapped in method calls only.


class Mutant(NamedTuple):
    r"""One change of one file."""

    path: str
    line: int
    scope: str
    operator: str
    before: str
    after: str
    start: tuple[int, int]
    end: tuple[int, int]
    code: str
    twin: int
    """The number of equal mutants before it in the file."""
    is_value: bool
    """Whether it changes an expression, not a statement."""
    is_body: bool
    """Whether it is in the body of a function. If not, for example in a default, all
    tests of the file are run."""

    @property
    def key(self) -> str:
        r"""A name that stays the same if lines of the file move."""
        change = f'{self.before} -> {self.after}'
        twin = f' (#{self.twin + 1})' if self.twin else ''
        return f'{self.path} | {self.scope} | {self.code} | {change}{twin}'

    def apply(self, source: str) -> str:
        r"""Return the mutated source. The replaced code stays in a branch that is never
        executed, so that a function keeps its closure variables."""
        lines = source.encode().splitlines(keepends=True)
        (first, left), (last, right) = self.start, self.end
        head = b''.join(lines[: first - 1]) + lines[first - 1][:left]
        tail = lines[last - 1][right:] + b''.join(lines[last:])
        change = self.after
        if self.is_value:
            change = f'({self.after} if 1 else {self.before})'
        elif self.after == 'pass':
            change = f'if 0: {self.before}'
        return (head + change.encode() + tail).decode()


class Mutator(ast.NodeVisitor):
    r"""Collect the mutants of a file."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.scope: list[str] = []
        self.functions = 0
        self.mutants: list[Mutant] = []
        self.twins: Counter[tuple[str, ...]] = Counter()
        self.lines = source.splitlines()
        for statement in ast.parse(source).body:
            # Other statements run only at import and cannot be changed afterwards.
            if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
                self.visit(statement)
            elif isinstance(statement, ast.Assign):
                self.visit_constants(statement)

    def add(self, node: Any, mutated: Any, operator: str) -> None:
        before, after = ast.unparse(node), 'pass'
        if mutated is not None:
            after = ast.unparse(mutated)
        scope, code = '.'.join(self.scope), self.lines[node.lineno - 1].strip()
        kind = scope, code, before, after
        self.twins[kind] += 1
        self.mutants.append(
            Mutant(
                self.path,
                node.lineno,
                scope,
                operator,
                before,
                after,
                (node.lineno, node.col_offset),
                (node.end_lineno, node.end_col_offset),
                code,
                self.twins[kind] - 1,
                isinstance(node, ast.expr),
                self.functions > 0,
            )
        )

    def replace(self, node: Any, operator: str, **fields: Any) -> None:
        mutated = copy.copy(node)
        for name, value in fields.items():
            setattr(mutated, name, value)
        self.add(node, mutated, operator)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        methods = (ast.FunctionDef, ast.AsyncFunctionDef)
        self._inside(
            node.name, [each for each in node.body if isinstance(each, methods)]
        )

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.scope.append(node.name)
                self.visit(default)
                self.scope.pop()
        self.functions += 1
        self._inside(node.name, node.body)
        self.functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def _inside(self, name: str, body: list[ast.stmt]) -> None:
        self.scope.append(name)
        for statement in body:
            self.visit(statement)
        self.scope.pop()

    def visit_constants(self, node: ast.Assign) -> None:
        for part in ast.walk(node.value):
            if isinstance(part, ast.Constant):
                self.visit_Constant(part)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == 'TYPE_CHECKING':
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        # Comparisons and `not` have mutants of their own.
        if isinstance(test, (ast.Name, ast.Attribute, ast.Call, ast.BoolOp)):
            self.add(test, ast.UnaryOp(ast.Not(), test), 'condition')

    def visit_Compare(self, node: ast.Compare) -> None:
        for i, op in enumerate(node.ops):
            ops = [*node.ops[:i], COMPARISONS[type(op)](), *node.ops[i + 1 :]]
            self.replace(node, 'comparison', ops=ops)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in ARITHMETIC and not _is_text(node):
            self.replace(node, 'arithmetic', op=ARITHMETIC[type(node.op)]())
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC:
            self.replace(node, 'arithmetic', op=ARITHMETIC[type(node.op)]())
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self.replace(node, 'and/or', op=op)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.add(node, node.operand, 'unary')
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, ast.Constant(not node.value), 'constant')
        elif isinstance(node.value, (int, float)):
            self.add(node, ast.Constant(node.value + 1), 'constant')

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in ('warn_caller', 'warnings.warn') or called.endswith('Error'):
            return
        name = called.rpartition('.')[2]
        if name in NAMES and (name not in METHODS or '.' in called):
            func = copy.copy(node.func)
            if isinstance(func, ast.Attribute):
                func.attr = NAMES[name]
            elif isinstance(func, ast.Name):
                func.id = NAMES[name]
            self.replace(node, 'name', func=func)
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                rest = [*node.keywords[:i], *node.keywords[i + 1 :]]
                self.replace(node, 'keyword', keywords=rest)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and ast.unparse(node.value) != 'None':
            self.add(node.value, ast.Constant(None), 'return')
            self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, (ast.Call, ast.Await)):
            self.add(node, None, 'statement')
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        if self.functions:
            self.add(node, None, 'raise')

    def visit_Break(self, node: ast.Break) -> None:
        self.add(node, ast.Continue(), 'break/continue')

    def visit_Continue(self, node: ast.Continue) -> None:
        self.add(node, ast.Break(), 'break/continue')

    def visit_Assert(self, node: ast.Assert) -> None:
        r"""Skip asserts, which only narrow types in this package."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        r"""Skip f-strings, whose parts have no positions before Python 3.12."""


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def find_mutants(tree: Path, paths: list[str]) -> dict[str, list[Mutant]]:
    r"""The mutants of all files, by the requested path."""
    found: dict[str, list[Mutant]] = {}
    for path in paths:
        place = tree / PACKAGE / path
        if not place.exists():
            raise SystemExit(f"'--paths' must be inside {PACKAGE}, got {path!r}")
        mutants = []
        for file in sorted(place.rglob('*.py')) if place.is_dir() else [place]:
            if '_triton' not in file.name:
                name = file.relative_to(tree).as_posix()
                mutants += Mutator(name, file.read_text()).mutants
        found[path] = mutants
    return found


def copy_tree(target: Path) -> None:
    r"""Copy the files of the tree that git tracks or would track."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split('\0'):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--paths', nargs='+', default=list(FOLDERS), metavar='PATH')
    parser.add_argument('--sample', type=int, metavar='N', help='mutants per path')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument(
        '--limit',
        type=float,
        default=20.0,
        metavar='SECONDS',
        help='most seconds of tests per mutant (default: 20)',
    )
    parser.add_argument('--again', action='store_true', help='try the last survivors')
    parser.add_argument('--recount', action='store_true', help='only count verdicts')
    parser.add_argument('--json', type=Path, default=RESULTS, metavar='FILE')
    args = parser.parse_args()
    report = json.loads(args.json.read_text()) if args.json.exists() else {}
    if not args.recount:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder).resolve()
            copy_tree(tree)
            found = find_mutants(tree, args.paths)
            chosen = choose_mutants(found, report, args)
            mutants = [mutant for each in chosen.values() for mutant in each]
            mutants += controls(mutants, args.seed)
            random.Random(args.seed).shuffle(mutants)
            outcome = run_mutants(tree, mutants, args.workers, args.limit)
        report = merge(report, found, chosen, outcome, args)
    count(report)
    args.json.write_text(json.dumps(report, indent=2) + '\n')
    print(table(report['rows']))
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    lines = [list(rows[0]), ['---'] * len(rows[0]), *map(dict.values, rows)]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def choose_mutants(
    found: dict[str, list[Mutant]], report: dict[str, Any], args: argparse.Namespace
) -> dict[str, list[Mutant]]:
    r"""All mutants, a sample per path, or the last survivors."""
    if args.again:
        keys = {entry['key'] for entry in report['survivors']}
        return {
            path: [mutant for mutant in mutants if mutant.key in keys]
            for path, mutants in found.items()
        }
    if args.sample is None:
        return found
    return {
        path: random.Random(args.seed).sample(mutants, min(args.sample, len(mutants)))
        for path, mutants in found.items()
    }


def controls(mutants: list[Mutant], seed: int) -> list[Mutant]:
    r"""Unchanged copies of one in twenty mutants, all of which must survive."""
    few = random.Random(seed).sample(mutants, -(-len(mutants) // 20))
    return [
        mutant._replace(
            operator='none', before='', after='', end=mutant.start, is_value=False
        )
        for mutant in few
    ]


def merge(
    report: dict[str, Any],
    found: dict[str, list[Mutant]],
    chosen: dict[str, list[Mutant]],
    outcome: dict[Mutant, str],
    args: argparse.Namespace,
) -> dict[str, Any]:
    r"""Merge the new results into the report, and keep earlier verdicts."""
    before = {entry['key']: entry for entry in report.get('survivors', [])}
    rows = {row['path']: row for row in report.get('rows', [])}
    survivors = {
        key: entry
        for key, entry in before.items()
        if not any(_is_in(key, path) for path in chosen)
    }
    for path, mutants in chosen.items():
        tried = rows[path]['tried'] if args.again else len(mutants)
        rows[path] = {'path': path, 'mutants': len(found[path]), 'tried': tried}
        for mutant in mutants:
            if outcome[mutant] == 'survived':
                known = before.get(mutant.key, {})
                survivors[mutant.key] = {
                    'key': mutant.key,
                    'line': mutant.line,
                    'verdict': known.get('verdict', ''),
                    'reason': known.get('reason', ''),
                }
    return {
        'benchmark': 'mutation',
        'command': command(),
        'environment': environment(),
        'seed': args.seed,
        'rows': [rows[path] for path in sorted(rows)],
        'survivors': [survivors[key] for key in sorted(survivors)],
    }


def count(report: dict[str, Any]) -> None:
    r"""Count the survivors of each path by verdict, and the ratio of killed mutants."""
    for row in report['rows']:
        verdicts = Counter(
            entry['verdict']
            for entry in report['survivors']
            if _is_in(entry['key'], row['path'])
        )
        row['survived'] = sum(verdicts.values())
        row['killed'] = row['tried'] - row['survived']
        row['equivalent'] = verdicts['equivalent']
        row['accepted'] = verdicts['accepted']
        row['ratio'] = round(row['killed'] / (row['tried'] - row['equivalent']), 3)


def _is_in(key: str, path: str) -> bool:
    return key.startswith((f'{PACKAGE}/{path}/', f'{PACKAGE}/{path} '))


if __name__ == '__main__':
    sys.exit(main())
