from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

from typer import Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import (
    BundleArgument,
    Config,
    Device,
    Index,
    Json,
    K,
    Quiet,
    Threads,
    parse_out,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.ranking_lines import ranking_lines
from pyg_irllrec.cli.read_ids import read_ids
from pyg_irllrec.serving._ranking_dicts import ranking_dicts

EXAMPLES = """pyg-irllrec recommend runs/books --user anna --user ben --k 5
pyg-irllrec recommend runs/books --user anna --intent 'war=-0.5' --intent rain
pyg-irllrec recommend runs/books --item 0195153448 --text 'mysteries in the rain'
pyg-irllrec recommend runs/books --out best.parquet"""

OPTIONS = {
    "'users'": '--user',
    "'items'": '--item',
    "'intents'": '--intent',
    "'path'": '--out',
    "'text'": '--text',
    "'dial'": '--dial',
    "'k'": '--k',
    "'index'": '--index',
    "'device'": '--device',
}


def recommend(
    bundle: BundleArgument,
    user: Annotated[
        Optional[list[str]],
        Option('--user', metavar='ID', help='User id. Repeatable.'),
    ] = None,
    item: Annotated[
        Optional[list[str]],
        Option(
            '--item',
            metavar='ID',
            help='Id of an item that a new user has chosen. Repeatable.',
        ),
    ] = None,
    text: Annotated[
        Optional[str], Option('--text', help='What a new user looks for, in words.')
    ] = None,
    k: K = 10,
    among: Annotated[
        Optional[Path],
        Option(
            '--among',
            metavar='FILE',
            help='File of item ids to choose from, one per line.',
        ),
    ] = None,
    exclude: Annotated[
        Optional[Path],
        Option(
            '--exclude', metavar='FILE', help='File of item ids to omit, one per line.'
        ),
    ] = None,
    seen: Annotated[
        bool, Option('--seen', help='Include items that the user has seen.')
    ] = False,
    intent: Annotated[
        Optional[list[str]],
        Option(
            '--intent',
            metavar='WORDS=WEIGHT',
            help='Promote items that match the words, or demote them with a negative '
            'weight. Without =WEIGHT, the weight is 1. Repeatable.',
        ),
    ] = None,
    dial: Annotated[
        Optional[float],
        Option(
            '--dial',
            min=0,
            show_default='1',
            help='Factor for the weights of all --intent options; 0 disables them.',
        ),
    ] = None,
    index: Index = 'exact',
    out: Annotated[
        Optional[Path],
        Option(
            '--out',
            parser=parse_out,
            metavar='FILE',
            help='Write a .csv, .parquet or .jsonl file instead of printing. Without '
            '--user: for all users.',
        ),
    ] = None,
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Recommend items to users, to a new user, or to all users.

    --user selects known users; --item, --text or both describe a new user. --out alone
    recommends to all users.
    """
    is_new = bool(item) or text is not None
    _check_who(user, is_new, out)
    if is_new and (seen or index != 'exact'):
        raise ValueError('--seen and --index apply only to known users, with --user')
    intents = _parse_intents(intent or [])
    if dial is not None and not intents:
        raise ValueError('--dial needs --intent, because it multiplies its weights')
    user = list(dict.fromkeys(user or []))
    output = Output(as_json, quiet)
    found = open_bundle(bundle, device)
    query: dict[str, Any] = {
        'among': among and read_ids('--among', among, found.items),
        'exclude': exclude and read_ids('--exclude', exclude, found.items),
        'intents': intents or None,
        'dial': 1.0 if dial is None else dial,
    }
    if is_new:
        best = found.recommend_new(item or [], k, text=text, **query)
    elif out is None:
        best = found.recommend(user, k, seen=seen, index=index, **query)
    else:
        query |= {'seen': seen, 'index': index, 'progress': output.progress}
        found.write_recommendations(out, user or None, k, **query)
        _report(out, k, len(user or found.users), output)
        return
    rankings = [(None if is_new else user, items) for user, items in best]
    output.result(
        {
            'recommendations': [
                {'user': user, 'items': ranking_dicts(items)}
                for user, items in rankings
            ]
        },
        _lines(rankings),
    )


def _check_who(
    user: Optional[Sequence[str]], is_new: bool, out: Optional[Path]
) -> None:
    if user and is_new:
        raise ValueError(
            '--user selects known users, --item and --text describe a new user: pass '
            'either'
        )
    if is_new and out is not None:
        raise ValueError('--out applies only to known users: omit --item and --text')
    if not user and not is_new and out is None:
        raise ValueError(
            'pass --user ID, or --item ID or --text for a new user, or --out FILE for '
            'all users'
        )


def _parse_intents(given: Sequence[str]) -> dict[str, float]:
    r"""Parse options ``WORDS=WEIGHT`` into weights by words."""
    intents: dict[str, float] = {}
    for each in given:
        words, _, weight = (each if '=' in each else f'{each}=1').rpartition('=')
        words = words.strip()
        try:
            value = float(weight)
        except ValueError:
            raise ValueError(
                "--intent must have the form WORDS=WEIGHT, such as 'war=-0.5', got "
                f'{each!r}'
            ) from None
        if words in intents:
            raise ValueError(f'--intent must not repeat an intent, got {words!r} twice')
        intents[words] = value
    return intents


def _report(out: Path, k: int, num_users: int, output: Output) -> None:
    output.result(
        {'path': str(out), 'users': num_users, 'k': k},
        [f'wrote the top {k} items of {num_users} users to {out}'],
    )


def _lines(rankings: Sequence[tuple[Any, Any]]) -> Iterator[str]:
    for number, (user, items) in enumerate(rankings):
        if number:
            yield ''
        if user is not None:
            yield f'User {user}'
        yield from ranking_lines(items)


command = Command(recommend, EXAMPLES, OPTIONS)
