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
    r"""Serve a bundle over HTTP until Ctrl-C or :obj:`SIGTERM`. The service then
    rejects new requests and finishes the requests in flight.

    Args:
        path (str or Path): The folder of the bundle.
        host (str): The address to listen on. There is no authentication: the service
            answers anyone who can reach it. (default: :obj:`"127.0.0.1"`, reachable
            from this machine only)
        port (int): The port; 0 chooses a free port. (default: :obj:`8000`)
        threads (int): As in :func:`create_app`. (default: :obj:`2`)
        queue_size (int): As in :func:`create_app`. (default: :obj:`128`)
        timeout (float): As in :func:`create_app`. (default: :obj:`10.0`)
        reload_seconds (float, optional): As in :func:`create_app`.
            (default: :obj:`1.0`)
        allowed_hosts (sequence of str, optional): The host names that requests may
            use. (default: :obj:`None`, the local names if :obj:`host` is one of them,
            and any name otherwise)
        index (str): As in :func:`create_app`. (default: :obj:`"exact"`)
        device (str): The device of the bundle. (default: :obj:`"cpu"`)

    Raises:
        ValueError: If an argument is out of range, or the bundle is damaged.
        FileNotFoundError: If there is no bundle.
        OSError: If the address or port cannot be used.

    Example:
        >>> from pyg_irllrec.serving.http import serve
        >>> serve('runs/books/bundle')  # at http://127.0.0.1:8000
    """
    listen(host, port).close()  # Fail before the bundle is loaded.
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
                f'the service at {host!r} can be reached from other machines and has '
                'no authentication'
            )
        shown = f'[{host}]' if ':' in host else host
        url = f'http://{shown}:{listener.getsockname()[1]}'
        print(f'Serving {path} at {url} (Ctrl-C stops)', file=sys.stderr, flush=True)
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

        is_main = threading.current_thread() is threading.main_thread()
        # This handler works until uvicorn installs its own, and when uvicorn raises the
        # signal again after it has stopped, which is not a failure.
        before = signal.signal(signal.SIGTERM, stop) if is_main else None
        # The bundle stays in memory. A collection that scans it takes a quarter of a
        # second, in which no request is answered.
        gc.freeze()
        try:
            server.run([listener])
        finally:
            gc.unfreeze()
            if is_main:
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def listen(host: str, port: int) -> socket.socket:
    r"""Return a listening socket, or raise an error that names the address."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
        raise ValueError(f"'port' must be an integer from 0 to 65535, got {port!r}")
    check_name('host', host)
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except (OSError, ValueError, TypeError) as error:  # Invalid hosts raise any.
        # Python appends the address again.
        reason = str(getattr(error, 'strerror', None) or error).partition(' (while')[0]
        raise OSError(
            f"cannot listen on 'host' {host!r} and 'port' {port}: {reason}. Port 0 "
            'chooses a free port'
        ) from None
    # Connections inherit this option. Without it, the body of a response waits 40 ms
    # for the client to acknowledge its head. asyncio sets it only on its own sockets.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
