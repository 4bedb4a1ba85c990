from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Optional

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
from pyg_irllrec.cli.table import table
from pyg_irllrec.serving.explanation import Explanation
from pyg_irllrec.serving.named_intent import NamedIntent

EXAMPLES = """pyg-irllrec explain runs/books --user anna --item 0195153448
pyg-irllrec explain runs/books --user anna"""

_NUM_SHOWN = 10

OPTIONS = {
    "'item'": '--item',
    "'user'": '--user',
    "'device'": '--device',
}


def explain(
    bundle: BundleArgument,
    user: Annotated[
        Optional[str],
        Option(
            '--user',
            metavar='ID',
            help='User id. Without it: the mean intents of all users.',
        ),
    ] = None,
    item: Annotated[
        Optional[str],
        Option(
            '--item', metavar='ID', help='Item id. Without it: the intents of the user.'
        ),
    ] = None,
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Explain why an item is recommended to a user, or list intents.

    Print the items in the user's history that are most similar to the item, and the
    intents that user and item share. Without --item, print the strongest intents of the
    user, and without --user the mean over all users. `recommend --intent NAME=WEIGHT`
    promotes or demotes an intent by its name.
    """
    if item is not None and user is None:
        raise ValueError('--item needs --user, the user to whom it is recommended')
    output = Output(as_json, quiet)
    found = open_bundle(bundle, device)
    if user is None or item is None:
        intents = found.intents(user)
        output.result(
            {'user': user, 'intents': [each._asdict() for each in intents]},
            _intent_lines(intents),
        )
        if len(intents) > _NUM_SHOWN:
            output.note(f'{len(intents) - _NUM_SHOWN} more intents: --json lists all')
        return
    why = found.explain(user, item)
    output.result(why.to_dict(), _lines(why))


def _lines(why: Explanation) -> Iterator[str]:
    yield why.text
    if why.similar:
        yield ''
        yield from table(
            ['id', 'similar item in the history', 'cosine'],
            [[str(each.item), each.title, each.score] for each in why.similar],
        )
    if why.intents:
        yield ''
        yield from _intent_lines(why.intents)


def _intent_lines(intents: Sequence[NamedIntent]) -> list[str]:
    if not intents:
        return ['the model has no intents: train with --alignment intents or full']
    return table(
        ['intent', 'share', 'times the mean', 'examples'],
        [
            [each.name, each.share, each.lift, '; '.join(each.titles)]
            for each in intents[:_NUM_SHOWN]
        ],
    )


command = Command(explain, EXAMPLES, OPTIONS)
