r"""``--config FILE``: read the options of a command from a YAML or JSON file."""

from __future__ import annotations

import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Optional, get_args, get_origin, get_type_hints

import typer
import yaml
from pydantic import ConfigDict, ValidationError, create_model

from pyg_irllrec.utils.json_object import parse_json_object

_STRICT = ConfigDict(extra='forbid', coerce_numbers_to_str=True)


def use_config(ctx: typer.Context, config: Optional[Path]) -> Optional[Path]:
    r"""Use the values of a file as the defaults of a command.

    Raises:
        ValueError: If the file contains anything but options of the command.
        OSError: If the file cannot be read.
    """
    if config is not None:
        ctx.default_map = _check(ctx, _read(config), config)
    return config


def _check(ctx: typer.Context, found: dict[str, Any], path: Path) -> dict[str, Any]:
    r"""Validate the values against the types of the command, and return them by the
    names of its arguments."""
    arguments = {
        _shown_name(each): str(each.name)
        for each in ctx.command.params
        if each.name not in ('config', 'help')
    }
    types = get_type_hints(inspect.unwrap(ctx.command.callback or _check))
    values = {}
    for given, value in found.items():
        name = str(given).replace('_', '-')
        if name not in arguments:
            near = get_close_matches(name, arguments, 1)
            raise ValueError(
                f'{path} must contain options of {ctx.command_path}, got {given!r}: '
                + (
                    f'did you mean {near[0]!r}?'
                    if near
                    else f'use one of {", ".join(arguments)}'
                )
            )
        if arguments[name] in values:
            raise ValueError(f'{path} must contain {name!r} once, got it twice')
        is_single = not isinstance(value, (list, type(None)))
        wrap = is_single and _is_list(types[arguments[name]])
        values[arguments[name]] = [value] if wrap else value
    fields: dict[str, Any] = {name: (types[name], None) for name in values}
    schema = create_model('Options', __config__=_STRICT, **fields)
    try:
        checked = schema(**values)
    except ValidationError as error:
        first = error.errors()[0]
        shown = {argument: option for option, argument in arguments.items()}
        name = shown[str(first['loc'][0])]
        raise ValueError(
            f'{path}: {name!r} is invalid, got {first["input"]!r}: {first["msg"]}'
        ) from None
    options: dict[str, Any] = checked.model_dump(mode='json')
    return options


def _is_list(kind: Any) -> bool:
    r"""Whether an option can be repeated."""
    return get_origin(kind) is list or any(map(_is_list, get_args(kind)))


def _shown_name(parameter: Any) -> str:
    r"""The name of a parameter on the command line, without dashes in front."""
    long = [each for each in parameter.opts if each.startswith('--')]
    name = long[0] if long else str(parameter.name)
    return name.lstrip('-').replace('_', '-')


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OSError(f'--config {path} cannot be read: {error.strerror}') from None
    try:
        if path.suffix.lower() == '.json':
            return parse_json_object(content)
        found = yaml.load(content, _Loader) or {}
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f'{path} must be YAML or JSON: {_reason(error)}') from None
    if not isinstance(found, dict):
        raise ValueError(
            f'{path} must map option names to values, such as "k: 20", got a '
            f'{type(found).__name__}'
        )
    return found


def _reason(error: Exception) -> str:
    mark = getattr(error, 'problem_mark', None)
    if mark is not None:  # The parser's own message is too technical for users.
        return f'line {mark.line + 1}, column {mark.column + 1} is not valid YAML'
    reason = str(error).replace('in "<byte string>", ', 'at ')
    return ' '.join(reason.split())[:200]


class _Loader(yaml.SafeLoader):
    r"""Keep values as strings, so that the id 006 does not become 6; the types of the
    options parse them. Reject duplicate names, of which YAML would keep the last."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        letter: [(tag, pattern) for tag, pattern in found if tag.endswith(':null')]
        for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(found) < len(node.value):
            raise ValueError('a name occurs twice')
        return found
