from __future__ import annotations

import json
import logging
from asyncio import TimeoutError as AsyncTimeoutError
from asyncio import wait_for
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any, Optional, Union

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.http._batches import Batches
from pyg_irllrec.serving.http._bundle_folder import BundleFolder
from pyg_irllrec.serving.http._guard import Guard
from pyg_irllrec.serving.http._metrics import Metrics
from pyg_irllrec.serving.http._reloader import Reloader
from pyg_irllrec.serving.http._worker_pool import PoolFull, WorkerPool
from pyg_irllrec.serving.http.schemas import (
    ErrorResponse,
    ExplainRequest,
    ExplainResponse,
    HealthResponse,
    ItemsResponse,
    RecommendRequest,
    RecommendResponse,
    SimilarRequest,
    SimilarResponse,
    SteerRequest,
    SteerResponse,
    UsersResponse,
)
from pyg_irllrec.serving.http.service import Service, UnknownId
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.checks import check_choice, check_count, check_positive

LOCAL_HOSTS = ('localhost', '127.0.0.1', '[::1]')
PAGE = {
    '/': ('index.html', 'text/html'),
    '/page.css': ('page.css', 'text/css'),
    '/page.js': ('page.js', 'text/javascript'),
    '/page.svg': ('page.svg', 'image/svg+xml'),
}
logger = logging.getLogger('pyg_irllrec.serving')


def create_app(
    bundle: Union[Bundle, PathLike],
    *,
    threads: int = 2,
    queue_size: int = 128,
    timeout: float = 10.0,
    reload_seconds: Optional[float] = 1.0,
    allowed_hosts: Optional[Sequence[str]] = LOCAL_HOSTS,
    index: str = 'exact',
    device: str = 'cpu',
) -> FastAPI:
    r"""Make an ASGI application that serves a bundle: :obj:`POST` to
    :obj:`/recommend`, :obj:`/similar`, :obj:`/explain` and :obj:`/steer`; :obj:`GET`
    from :obj:`/health`, :obj:`/metrics` (Prometheus), :obj:`/openapi.json`,
    :obj:`/users` and :obj:`/items` (search) and :obj:`/` (the web page).

    Responses are JSON. The response to an invalid request is :obj:`{"error": "..."}`
    with status 422 for an invalid field, 404 for an unknown id, 400 if the bundle
    cannot fulfil the request, 413 for a body that is too large, and 503 if the queue is
    full or the request times out. There is no authentication.

    Args:
        bundle (Bundle, str or Path): A bundle, or the folder of a bundle. If a new
            bundle is saved into the folder, it is loaded in the background and replaces
            the old one between two requests.
        threads (int): The number of requests processed at a time.
            (default: :obj:`2`)
        queue_size (int): The maximum number of requests that are processed or wait;
            further requests get 503. (default: :obj:`128`)
        timeout (float): The number of seconds after which a request gets 503.
            (default: :obj:`10.0`)
        reload_seconds (float, optional): The number of seconds between two checks of
            the folder; :obj:`None` never checks. (default: :obj:`1.0`)
        allowed_hosts (sequence of str, optional): The host names that requests may use,
            which prevents DNS rebinding; :obj:`None` allows any.
            (default: :obj:`("localhost", "127.0.0.1", "[::1]")`)
        index (str): How items are searched, :obj:`"exact"` or :obj:`"faiss"`, as in
            :meth:`~pyg_irllrec.serving.Bundle.recommend`.
            (default: :obj:`"exact"`)
        device (str): The device of bundles loaded from a folder.
            (default: :obj:`"cpu"`)

    Raises:
        ValueError: If an argument is out of range, or the bundle is damaged.
        FileNotFoundError: If there is no bundle.

    Example:
        >>> from fastapi.testclient import TestClient
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle
        >>> from pyg_irllrec.serving.http import create_app
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> app = create_app(Bundle(build_model(data), data))
        >>> with TestClient(app, 'http://localhost') as client:
        ...     answer = client.post('/recommend', json={'users': [0], 'k': 3})
        >>> len(answer.json()['recommendations'][0]['items'])
        3
    """
    check_count('threads', threads)
    check_count('queue_size', queue_size)
    check_positive('timeout', timeout)
    check_choice('index', index, ('exact', 'faiss'))
    if reload_seconds is not None:
        check_positive('reload_seconds', reload_seconds)
    _check_hosts(allowed_hosts)
    if isinstance(bundle, Bundle):
        folder, service = None, Service(bundle, 'in memory', index)
    else:
        folder = BundleFolder(bundle, device)
        service = Service(*folder.load(), index)
    metrics = Metrics()
    metrics.show_version(service.version)
    pool = WorkerPool(threads, queue_size)
    singles = Batches(pool, service.recommend_each)
    metrics.pending.set_function(lambda: pool.pending)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reloader = None
        if folder is not None and reload_seconds is not None:
            reloader = Reloader(folder, service, metrics, reload_seconds)
            reloader.start()
        yield
        if reloader is not None:
            reloader.stop()
        pool.close()

    async def answer(work: Callable[[], dict[str, Any]]) -> Response:
        return await wait_for(pool.run(lambda: to_json(work())), timeout)

    app = FastAPI(
        title='pyg_irllrec',
        description='Recommendations by intents.',
        version='1',
        lifespan=lifespan,
        docs_url=None,  # Its scripts would come from another host.
        redoc_url=None,
        responses={'4XX': {'model': ErrorResponse}, 503: {'model': ErrorResponse}},
    )

    @app.post('/recommend', responses=_responses(RecommendResponse))
    async def recommend(request: RecommendRequest) -> Response:
        if (user := request.single_user()) is not None:
            key = request.k, request.seen
            answered = await wait_for(singles.ask(key, user), timeout)
            if isinstance(answered, Exception):
                raise answered
            return to_json(answered)
        return await answer(lambda: service.recommend(request))

    @app.post('/similar', responses=_responses(SimilarResponse))
    async def similar(request: SimilarRequest) -> Response:
        return await answer(lambda: service.similar(request))

    @app.post('/explain', responses=_responses(ExplainResponse))
    async def explain(request: ExplainRequest) -> Response:
        return await answer(lambda: service.explain(request))

    @app.post('/steer', responses=_responses(SteerResponse))
    async def steer(request: SteerRequest) -> Response:
        return await answer(lambda: service.steer(request))

    @app.get('/users', responses=_responses(UsersResponse))
    async def users(query: SearchQuery = '', limit: SearchLimit = 20) -> Response:
        return await answer(lambda: service.search('user', query, limit))

    @app.get('/items', responses=_responses(ItemsResponse))
    async def items(query: SearchQuery = '', limit: SearchLimit = 20) -> Response:
        return await answer(lambda: service.search('item', query, limit))

    @app.get('/health', responses=_responses(HealthResponse))
    async def health() -> Response:
        return to_json(service.health())

    @app.get('/metrics')
    async def show_metrics() -> Response:
        return Response(metrics.text(), media_type='text/plain; version=0.0.4')

    for path, (name, kind) in PAGE.items():
        app.add_api_route(path, page_route(name, kind), include_in_schema=False)
    _handle_errors(app)
    paths = [getattr(route, 'path', '') for route in app.routes]
    app.add_middleware(
        Guard, metrics=metrics, paths=paths, hosts=allowed_hosts, timeout=timeout
    )
    return app


def _check_hosts(names: object) -> None:
    if isinstance(names, str):
        raise ValueError(
            f"'allowed_hosts' must be a list of names, got {names!r}. Pass [{names!r}]"
        )


def _handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(UnknownId, _error_handler(404))
    app.add_exception_handler(ValueError, _error_handler(400))
    app.add_exception_handler(ImportError, _error_handler(501))
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(PoolFull, on_busy)
    app.add_exception_handler(AsyncTimeoutError, on_busy)
    app.add_exception_handler(Exception, on_bug)


SearchQuery = Annotated[str, Query(max_length=200)]
SearchLimit = Annotated[int, Query(ge=1, le=100)]


def to_json(content: dict[str, Any], status: int = 200) -> Response:
    r"""Make a JSON response."""
    try:
        body = json.dumps(content, allow_nan=False)
    except ValueError as error:
        raise RuntimeError('a score is not finite') from error
    return Response(body, status, media_type='application/json')


def page_route(name: str, kind: str) -> Callable[[], Any]:
    r"""Return a route that sends a file of the page."""
    content = files('pyg_irllrec.serving.http').joinpath('page', name).read_bytes()

    async def send() -> Response:
        return Response(content, media_type=kind)

    return send


def _responses(model: type[Any]) -> dict[Union[int, str], dict[str, Any]]:
    return {200: {'model': model}}


def _error_handler(status: int) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        return to_json({'error': str(error)}, status)

    return answer


async def on_http_error(request: Request, error: Exception) -> Response:
    r"""Respond to an unknown path or method."""
    assert isinstance(error, HTTPException)
    answer = to_json({'error': str(error.detail)}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def on_invalid_request(request: Request, error: Exception) -> Response:
    r"""Respond with the first invalid field of a body."""
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    if fault['type'] == 'json_invalid':
        return to_json({'error': f'the body is not JSON: {fault["ctx"]["error"]}'}, 400)
    if fault['loc'] == ('body',) and fault['type'] != 'value_error':
        return to_json({'error': 'the body must be a JSON object'}, 422)
    place = '.'.join(str(part) for part in fault['loc'][1:] if part != '[key]')
    message = fault['msg'].removeprefix('Value error, ')
    return to_json({'error': f"'{place}': {message}" if place else message}, 422)


async def on_busy(request: Request, error: Exception) -> Response:
    r"""Respond to a full queue or a timeout."""
    full = isinstance(error, PoolFull)
    answer = to_json(
        {'error': 'too many requests' if full else 'the request took too long'}, 503
    )
    answer.headers['retry-after'] = '1'
    return answer


async def on_bug(request: Request, error: Exception) -> Response:
    r"""Respond to an unexpected error; the log has the traceback."""
    return to_json({'error': 'internal error, see the log of the service'}, 500)
