from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import BundleArgument, Config, Json, Quiet
from pyg_irllrec.cli.output import Output

EXAMPLES = """pyg-irllrec info runs/books
pyg-irllrec info runs/books/bundle --json"""


def info(
    bundle: BundleArgument,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Show the model, sizes, metrics and versions of a bundle."""
    found = open_bundle(bundle).info()
    Output(as_json, quiet).result(found, _lines(found))


def _lines(found: Mapping[str, Any], indent: str = '') -> Iterator[str]:
    width = max(len(str(name)) for name in found) if found else 0
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield f'{indent}{name}'
            yield from _lines(value, indent + '  ')
        else:
            yield f'{indent}{name:<{width}}  {_show(value)}'


def _show(value: Any) -> str:
    if isinstance(value, list):
        return ', '.join(map(str, value))
    return f'{value:.4f}' if isinstance(value, float) else str(value)


command = Command(info, EXAMPLES)
