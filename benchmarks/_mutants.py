r"""The mutants of :mod:`benchmarks.mutation`: single changes of the package's code."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = 'pyg_irllrec'

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
