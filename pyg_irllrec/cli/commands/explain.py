from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from typer import Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import (
    BundleArgument,
    Config,
    Device,
    Json,
    Quiet,
    Threads,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.ranking_lines import ranking_dicts
from pyg_irllrec.cli.table import table
from pyg_irllrec.serving.explanation import Explanation

EXAMPLES = 'pyg-irllrec explain runs/books --user anna --item 0195153448'


def explain(
    bundle: BundleArgument,
    user: Annotated[str, Option('--user', metavar='ID', help='The user.')],
    item: Annotated[str, Option('--item', metavar='ID', help='The item.')],
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Why an item is recommended to a user.

    What of their own is most like it, and the intents that both lean to."""
    output = Output(as_json, quiet)
    why = open_bundle(bundle, device).explain(user, item)
    output.result(
        {
            **why._asdict(),
            'similar': ranking_dicts(why.similar),
            'intents': [each._asdict() for each in why.intents],
        },
        _lines(why),
    )


def _lines(why: Explanation) -> Iterator[str]:
    yield why.text
    if why.similar:
        yield ''
        yield from table(
            ['id', 'like it, of their own', 'cosine'],
            [[str(each.item), each.title, each.score] for each in why.similar],
        )
    if why.intents:
        yield ''
        yield from table(
            ['intent', 'times the mean', 'such as'],
            [[each.name, each.lift, '; '.join(each.titles)] for each in why.intents],
        )


command = Command(explain, EXAMPLES)
