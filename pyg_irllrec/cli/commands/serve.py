from __future__ import annotations

from typing import Annotated

from typer import Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.options import BundleArgument, Config, Device, Index, Threads
from pyg_irllrec.serving.load import bundle_folder

EXAMPLES = """\
pyg-irllrec serve runs/books
curl localhost:8000/recommend -H 'Content-Type: application/json' \\
    -d '{"users": ["anna"], "k": 5}'"""

OPTIONS = {
    "'host'": '--host',
    "'port'": '--port',
    "'index'": '--index',
    "'device'": '--device',
    "'threads'": '--workers',
}


def serve(
    bundle: BundleArgument,
    host: Annotated[
        str,
        Option('--host', help='The address to listen on. There is no authentication.'),
    ] = '127.0.0.1',
    port: Annotated[
        int, Option('--port', min=0, max=65535, help='0 for any that is free.')
    ] = 8000,
    workers: Annotated[
        int, Option('--workers', min=1, help='Requests that are answered at once.')
    ] = 2,
    reload: Annotated[
        bool,
        Option(
            '--reload/--no-reload',
            help='Take over a bundle that is saved anew into the folder.',
        ),
    ] = True,
    index: Index = 'exact',
    device: Device = 'cpu',
    threads: Threads = None,
    config: Config = None,
) -> None:
    r"""Serve a bundle over HTTP, with a page at /.

    Until Ctrl-C or SIGTERM: then what is in flight is answered first.
    """
    from pyg_irllrec.serving import http  # It needs the extra 'serve'.

    http.serve(
        bundle_folder(bundle),
        host,
        port,
        threads=workers,
        reload_seconds=1.0 if reload else None,
        index=index,
        device='cpu' if device == 'auto' else device,
    )


command = Command(serve, EXAMPLES, OPTIONS)
