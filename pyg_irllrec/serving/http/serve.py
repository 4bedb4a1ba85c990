from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Optional

import uvicorn

from pyg_irllrec.serving.http.app import LOCAL_HOSTS, create_app
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import check_name
from pyg_irllrec.utils.warn_caller import warn_caller

STOP_SECONDS = 30


def serve(
    path: PathLike,
    host: str = '127.0.0.1',
    port: int = 8000,
    *,
    threads: int = 2,
    queue_size: int = 128,
    timeout: float = 10.0,
    reload_seconds: Optional[float] = 1.0,
    allowed_hosts: Optional[Sequence[str]] = None,
    index: str = 'exact',
    device: str = 'cpu',
) -> None:
    r"""Serve a bundle over HTTP until it is stopped by Ctrl-C or :obj:`SIGTERM`: then
    it takes no new requests and answers those that it has.

    .. code-block:: python

        serve('runs/books/bundle')  # http://127.0.0.1:8000

    Args:
        path (str or path-like): The folder of the bundle.
        host (str): The address to listen on. There is no authentication: anybody who
            can reach it is served. (default: :obj:`"127.0.0.1"`, this machine alone)
        port (int): The port; 0 for any that is free. (default: :obj:`8000`)
        threads (int): As in :func:`create_app`. (default: :obj:`2`)
        queue_size (int): As in :func:`create_app`. (default: :obj:`128`)
        timeout (float): As in :func:`create_app`. (default: :obj:`10.0`)
        reload_seconds (float, optional): As in :func:`create_app`.
            (default: :obj:`1.0`)
        allowed_hosts (sequence of str, optional): The names that requests may call the
            service by. (default: :obj:`None`, those of this machine if :obj:`host` is
            one, else any)
        index (str): As in :func:`create_app`. (default: :obj:`"exact"`)
        device (str): Where the bundle is put. (default: :obj:`"cpu"`)

    Raises:
        ValueError: If an argument is out of range, or there is no bundle that can be
            read.
        OSError: If the port is taken.
    """
    listen(host, port).close()  # A port that is taken is found before the work.
    local = host in ('localhost', '127.0.0.1', '::1')
    if local and allowed_hosts is None:
        allowed_hosts = LOCAL_HOSTS
    app = create_app(
        path,
        threads=threads,
        queue_size=queue_size,
        timeout=timeout,
        reload_seconds=reload_seconds,
        allowed_hosts=allowed_hosts,
        index=index,
        device=device,
    )
    with listen(host, port) as listener:
        if not local:
            warn_caller(
                f"'host' {host!r} can be reached from other machines, and there is no "
                'authentication'
            )
        shown = f'[{host}]' if ':' in host else host
        url = f'http://{shown}:{listener.getsockname()[1]}'
        print(f'{path} serves at {url} (stop: Ctrl-C)', file=sys.stderr, flush=True)
        config = uvicorn.Config(
            app,
            log_level='warning',
            access_log=False,
            server_header=False,
            ws='none',
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        server = uvicorn.Server(config)

        def stop(number: int, frame: object) -> None:
            server.should_exit = True

        if threading.current_thread() is threading.main_thread():
            # Until uvicorn has a handler of its own, and when it raises the signal
            # again at its end: that is no failure.
            signal.signal(signal.SIGTERM, stop)
        # What is there by now stays: looking through it takes a quarter of a second,
        # in which nobody is answered.
        gc.freeze()
        try:
            server.run([listener])
        finally:
            gc.unfreeze()


def listen(host: str, port: int) -> socket.socket:
    r"""A socket that listens, or an error that names what is wrong."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        raise ValueError(f"'port' must be an integer from 0 to 65535, got {port!r}")
    check_name('host', host)
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (
        OSError,
        ValueError,
        TypeError,
    ) as error:  # No address at all is one of two.
        # Without what Python adds: the address once more.
        reason = str(getattr(error, 'strerror', None) or error).partition(' (while')[0]
        raise OSError(
            f"cannot listen on 'host' {host!r} and 'port' {port}: {reason}; port 0 is "
            'any that is free'
        ) from None
    # Connections inherit it. asyncio sets it on sockets of its own alone, and without
    # it an answer waits 40 ms between head and body for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
