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
        Option('--user', metavar='ID', help='A user; may be given several times.'),
    ] = None,
    item: Annotated[
        Optional[list[str]],
        Option(
            '--item',
            metavar='ID',
            help='An item that somebody new has chosen; may be given several times.',
        ),
    ] = None,
    text: Annotated[
        Optional[str], Option('--text', help='What somebody new looks for, in words.')
    ] = None,
    k: K = 10,
    among: Annotated[
        Optional[Path],
        Option(
            '--among', metavar='FILE', help='Items to choose from, one id per line.'
        ),
    ] = None,
    exclude: Annotated[
        Optional[Path],
        Option('--exclude', metavar='FILE', help='Items to leave out, likewise.'),
    ] = None,
    seen: Annotated[
        bool, Option('--seen', help='Recommend again what a user has seen.')
    ] = False,
    intent: Annotated[
        Optional[list[str]],
        Option(
            '--intent',
            metavar='WORDS=WEIGHT',
            help='Raise what matches the words, or mute it by a weight below 0 '
            '(without a weight: 1); may be given several times.',
        ),
    ] = None,
    dial: Annotated[
        Optional[float],
        Option(
            '--dial',
            min=0,
            show_default='1',
            help='How much --intent counts; 0 for nothing.',
        ),
    ] = None,
    index: Index = 'exact',
    out: Annotated[
        Optional[Path],
        Option(
            '--out',
            parser=parse_out,
            metavar='FILE',
            help='Write a .csv, .parquet or .jsonl file instead: of all users, where '
            'none is named.',
        ),
    ] = None,
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""The best items of users, of somebody new, or of everybody."""
    new = bool(item) or text is not None
    _check_who(user, new, out)
    if new and (seen or index != 'exact'):
        raise ValueError('--seen and --index are for users who are known')
    intents = _parse_intents(intent or [])
    if dial is not None and not intents:
        raise ValueError('--dial needs --intent, whose weights it multiplies')
    user = list(dict.fromkeys(user or []))
    output = Output(as_json, quiet)
    found = open_bundle(bundle, device)
    asked: dict[str, Any] = {
        'among': among and read_ids('--among', among, found.items),
        'exclude': exclude and read_ids('--exclude', exclude, found.items),
        'intents': intents or None,
        'dial': 1.0 if dial is None else dial,
    }
    if new:
        best = found.recommend_new(item or [], k, text=text, **asked)
    elif out is None:
        best = found.recommend(user, k, seen=seen, index=index, **asked)
    else:
        asked |= {'seen': seen, 'index': index, 'progress': output.progress}
        found.write_recommendations(out, user or None, k, **asked)
        _report(out, k, len(user or found.users), output)
        return
    rankings = [(None if new else user, items) for user, items in best]
    output.result(
        {
            'recommendations': [
                {'user': user, 'items': ranking_dicts(items)}
                for user, items in rankings
            ]
        },
        _lines(rankings),
    )


def _check_who(user: Optional[Sequence[str]], new: bool, out: Optional[Path]) -> None:
    if user and new:
        raise ValueError(
            '--user names somebody known, --item and --text somebody new: give one of '
            'them'
        )
    if new and out is not None:
        raise ValueError(
            '--out is for users who are known: leave out --item and --text'
        )
    if not user and not new and out is None:
        raise ValueError(
            'give --user ID, or --item ID or --text for somebody new, or --out FILE '
            'for all users'
        )


def _parse_intents(given: Sequence[str]) -> dict[str, float]:
    r"""The weights of intents by their words."""
    intents: dict[str, float] = {}
    for each in given:
        words, _, weight = (each if '=' in each else f'{each}=1').rpartition('=')
        words = words.strip()
        try:
            value = float(weight)
        except ValueError:
            raise ValueError(
                '--intent must be words, an equals sign and a number, such as '
                f"'war=-0.5', got {each!r}"
            ) from None
        if words in intents:
            raise ValueError(
                f'--intent must name each intent once, got {words!r} twice'
            )
        intents[words] = value
    return intents


def _report(out: Path, k: int, num_users: int, output: Output) -> None:
    output.result(
        {'path': str(out), 'users': num_users, 'k': k},
        [f'{out} holds the best {k} items of each user, {num_users} in all'],
    )


def _lines(rankings: Sequence[tuple[Any, Any]]) -> Iterator[str]:
    for number, (user, items) in enumerate(rankings):
        if number:
            yield ''
        if user is not None:
            yield f'User {user}'
        yield from ranking_lines(items)


command = Command(recommend, EXAMPLES, OPTIONS)
