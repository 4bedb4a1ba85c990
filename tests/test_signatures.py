"""What holds for every public name: explicit arguments, a docstring, references that
resolve."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pyg_irllrec
from pyg_irllrec.datasets import Goodreads, LastFM, MovieLens

pytest.importorskip('lightning')
pytest.importorskip('pyarrow')

# Whoever forwards to a module that it does not know has to forward any argument.
FORWARDS = {
    'pyg_irllrec.nn.momentum_encoder.MomentumEncoder.forward',
    'pyg_irllrec.nn.momentum_encoder.MomentumEncoder.teach',
}


def modules() -> list[ModuleType]:
    names = [
        info.name
        for info in pkgutil.walk_packages(pyg_irllrec.__path__, 'pyg_irllrec.')
    ]
    public = [name for name in names if '._' not in name]
    return [pyg_irllrec, *map(importlib.import_module, public)]


def is_ours(value: Any) -> bool:
    return str(getattr(value, '__module__', '')).split('.')[0] == 'pyg_irllrec'


def public_objects() -> dict[str, Any]:
    """Classes and functions by qualified name: those in an ``__all__``, and those that
    a public module defines."""
    found = {}
    for module in modules():
        exported = set(getattr(module, '__all__', ()))
        for name, value in vars(module).items():
            here = getattr(value, '__module__', None) == module.__name__
            if name not in exported and (name.startswith('_') or not here):
                continue
            if is_ours(value) and (inspect.isclass(value) or callable(value)):
                found[f'{value.__module__}.{value.__qualname__}'] = value
    return found


OBJECTS = public_objects()


def callables(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The object, and the public methods of a class that this package defines."""
    is_protocol = getattr(value, '_is_protocol', False) or typing.is_typeddict(value)
    # An exception without arguments of its own has those of Python's.
    is_bare = inspect.isclass(value) and '__init__' not in vars(value)
    is_error = is_bare and issubclass(value, Exception)
    if not is_protocol and not is_error:
        yield name, value
    if inspect.isclass(value):
        for key, member in vars(value).items():
            if isinstance(member, (classmethod, staticmethod)):
                member = member.__func__
            if inspect.isfunction(member) and is_ours(member):
                if not key.startswith('_') or key == '__call__':
                    yield f'{name}.{key}', member


def test_arguments_are_explicit():
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wrong = {
        f'{name}{inspect.signature(function)}'
        for each, value in OBJECTS.items()
        for name, function in callables(each, value)
        if name not in FORWARDS
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in variable
    }
    assert not wrong, '\n'.join(sorted(wrong))


def test_documented_arguments_are_those_of_the_signature():
    compared = 0
    for each, value in OBJECTS.items():
        for name, function in callables(each, value):
            doc = inspect.cleandoc(function.__doc__ or '')
            section = re.search(r'^Args:\n((?: .*\n|\n)*)', f'{doc}\n', re.M)
            if section:
                documented = re.findall(r'^    (\w+) \(', section[1], re.M)
                parameters = [*inspect.signature(function).parameters]
                if parameters[:1] in (['self'], ['cls']):
                    del parameters[0]
                assert documented == parameters, name
                compared += 1
    assert compared > 200


def test_exceptions_to_the_rule_exist():
    names = {name for each in OBJECTS.items() for name, _ in callables(*each)}
    assert FORWARDS <= names


def test_every_public_name_is_there_and_documented():
    for module in modules():
        for name in getattr(module, '__all__', ()):
            assert hasattr(module, name), f'{module.__name__}.{name}'
        if hasattr(module, '__path__'):
            assert module.__doc__, module.__name__
    undocumented = {
        name
        for name, value in OBJECTS.items()
        # A NamedTuple writes its own.
        if (vars(value).get('__doc__') or '').startswith((value.__name__ + '(', ' '))
        or not value.__doc__
    }
    assert not undocumented, sorted(undocumented)


def test_datasets_share_their_arguments():
    order = [
        'root',
        'name',
        'tags',
        'user_texts',
        'processed_root',
        'transform',
        'force_reload',
    ]
    defaults: dict[str, Any] = {}
    for cls in (MovieLens, LastFM, Goodreads):
        parameters = inspect.signature(cls).parameters
        assert list(parameters) == [name for name in order if name in parameters]
        for name, parameter in parameters.items():
            positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            assert positional == (name in ('root', 'name'))
            assert defaults.setdefault(name, parameter.default) == parameter.default


# References in docstrings.

REFERENCE = re.compile(r':(class|func|meth|attr|mod|exc|data):`([^`]+)`')


class Docstrings(ast.NodeVisitor):
    """Every reference, with the classes that it stands in."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.found: list[tuple[str, str, tuple[str, ...]]] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.append(node.name)
        self.generic_visit(node)
        self.classes.pop()

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for role, target in REFERENCE.findall(node.value.value):
                target = target.split('<')[-1].strip('~!<>')
                self.found.append((role, target, tuple(self.classes)))


def get_path(start: Any, path: str) -> bool:
    for name in filter(None, path.split('.')):
        annotated = name in getattr(start, '__annotations__', {})
        if not hasattr(start, name):
            return annotated or _sets_attribute(start, name)
        start = getattr(start, name)
    return True


def _sets_attribute(cls: Any, name: str) -> bool:
    return inspect.isclass(cls) and f'self.{name} = ' in inspect.getsource(cls)


def resolves(target: str, module: ModuleType, classes: tuple[str, ...]) -> bool:
    """As Sphinx does: in the class, in the module, in its packages, from the top."""
    for depth in range(len(classes), 0, -1):
        scope: Any = module
        for name in classes[:depth]:
            scope = getattr(scope, name, None)
        if get_path(scope, target):
            return True
    if get_path(module, target) or get_path(builtins, target):
        return True
    parts = target.split('.')
    for length in range(len(parts), 0, -1):
        name = '.'.join(parts[:length])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if length == 1 and parts[0] != 'pyg_irllrec':
                return len(parts) > 1 and error.name == parts[0]  # Not installed here.
            continue
        return get_path(found, '.'.join(parts[length:]))
    return False


def test_references_resolve():
    broken = []
    for info in pkgutil.walk_packages(pyg_irllrec.__path__, 'pyg_irllrec.'):
        module = None
        path = importlib.util.find_spec(info.name).origin
        visitor = Docstrings()
        visitor.visit(ast.parse(Path(path).read_text(encoding='utf-8')))
        for role, target, classes in visitor.found:
            module = module or importlib.import_module(info.name)
            if not resolves(target, module, classes):
                broken.append(f'{info.name}: :{role}:`{target}`')
    assert not broken, '\n'.join(broken)
