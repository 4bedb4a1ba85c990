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
        Option(
            '--host', help='Address to listen on. The service has no authentication.'
        ),
    ] = '127.0.0.1',
    port: Annotated[
        int,
        Option(
            '--port', min=0, max=65535, help='Port to listen on; 0 picks a free one.'
        ),
    ] = 8000,
    workers: Annotated[
        int, Option('--workers', min=1, help='Number of requests answered at once.')
    ] = 2,
    reload: Annotated[
        bool,
        Option(
            '--reload/--no-reload',
            help='Load a new bundle when one is saved into the folder.',
        ),
    ] = True,
    index: Index = 'exact',
    device: Device = 'cpu',
    threads: Threads = None,
    config: Config = None,
) -> None:
    r"""Serve a bundle over HTTP, with a web page at /.

    Stop the service with Ctrl-C or SIGTERM: it first answers the requests in flight.
    """
    from pyg_irllrec.serving import http  # Needs the extra 'serve'.

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
