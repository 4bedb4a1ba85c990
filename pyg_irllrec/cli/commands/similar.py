from __future__ import annotations

from typing import Annotated, Optional

from typer import Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import (
    BundleArgument,
    Config,
    Device,
    Json,
    K,
    Quiet,
    Threads,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.ranking_lines import Ranking, ranking_lines
from pyg_irllrec.serving._ranking_dicts import ranking_dicts

EXAMPLES = """pyg-irllrec similar runs/books --item 0195153448
pyg-irllrec similar runs/books --user anna --k 5 --json"""

OPTIONS = {
    "'item'": '--item',
    "'user'": '--user',
    "'k'": '--k',
    "'device'": '--device',
}


def similar(
    bundle: BundleArgument,
    item: Annotated[
        Optional[str], Option('--item', metavar='ID', help='Item id.')
    ] = None,
    user: Annotated[
        Optional[str], Option('--user', metavar='ID', help='User id.')
    ] = None,
    k: K = 10,
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Find the items most similar to an item, or users to a user."""
    if (item is None) == (user is None):
        raise ValueError('pass either --item or --user')
    output = Output(as_json, quiet)
    found = open_bundle(bundle, device)
    ranking: Ranking = ()
    if item is not None:
        ranking = found.similar_items(item, k)
    elif user is not None:
        ranking = found.similar_users(user, k)
    output.result(
        {'item': item, 'user': user, 'similar': ranking_dicts(ranking)},
        ranking_lines(ranking),
    )


command = Command(similar, EXAMPLES, OPTIONS)
