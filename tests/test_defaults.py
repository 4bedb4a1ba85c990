"""Documented defaults are those of the code."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pyg_irllrec

ENTRY = re.compile(r'^( +)(\w+) \([^\n]*\):(.*?)(?=^\1\w|^ {0,4}\w|\Z)', re.M | re.S)
DEFAULT = re.compile(r'\(default:\s+:obj:`([^`]+)`')


def documented() -> Iterator[tuple[str, Any, str]]:
    """Classes and functions with the text that documents their arguments."""
    for module in pkgutil.walk_packages(pyg_irllrec.__path__, 'pyg_irllrec.'):
        if '_triton' in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if getattr(value, '__module__', '') != module.name or name.startswith('_'):
                continue
            if inspect.isfunction(value):
                yield name, value, value.__doc__ or ''
            elif inspect.isclass(value):
                yield name, value, value.__doc__ or ''
                for key, method in vars(value).items():
                    if inspect.isfunction(method) and not key.startswith('_'):
                        yield f'{name}.{key}', method, method.__doc__ or ''


def test_documented_defaults_are_those_of_the_code():
    compared = 0
    for name, value, text in documented():
        if not DEFAULT.search(text):
            continue
        parameters = inspect.signature(value).parameters
        for _, argument, entry in ENTRY.findall(text):
            if argument not in parameters or not (found := DEFAULT.search(entry)):
                continue
            default = parameters[argument].default
            try:
                expected = ast.literal_eval(found[1])
            except (ValueError, SyntaxError):
                continue  # A name, such as torch's generator.
            assert default == expected, (name, argument)
            assert type(default) is type(expected) or default is None, (name, argument)
            compared += 1
    assert compared > 200
