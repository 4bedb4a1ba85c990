from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Optional, Union

from pyg_irllrec.serving._explain import explain
from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving._steer import item_effects
from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.http._node_search import NodeSearch
from pyg_irllrec.serving.http.schemas import (
    ExplainRequest,
    RecommendRequest,
    SimilarRequest,
    SteerRequest,
)
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.typing import NodeId


class UnknownId(LookupError):
    r"""A request has the id of an unknown user or item."""


class Served(NamedTuple):
    r"""A bundle with values that are computed once, before it is served."""

    bundle: Bundle
    version: str
    users: NodeSearch
    items: NodeSearch
    info: dict[str, Any]


class Service:
    r"""A service that answers requests from a bundle, with JSON values. The bundle may
    be replaced at any time, but each request is answered from one bundle only.

    Args:
        bundle (Bundle): The bundle to serve.
        version (str): The version of the bundle, for responses.
        index (str): How items are searched. (default: :obj:`"exact"`)
    """

    def __init__(self, bundle: Bundle, version: str, index: str = 'exact') -> None:
        self._index = index
        self._started = time.monotonic()
        self.reloads = -1
        self.reload_error: Optional[str] = None
        self.replace(bundle, version)

    @property
    def version(self) -> str:
        r"""The version of the bundle that is served."""
        return self._served.version

    def replace(self, bundle: Bundle, version: str) -> None:
        r"""Serve another bundle instead."""
        _warm_up(bundle, self._index)
        users, items = NodeSearch(bundle.users), NodeSearch(bundle.items)
        self._served = Served(bundle, version, users, items, plain(bundle.info()))
        self.reloads += 1
        self.reload_error = None

    def health(self) -> dict[str, Any]:
        r"""Return the state of the service and the info of its bundle."""
        served = self._served
        return {
            'status': 'ok',
            'version': served.version,
            'uptime_seconds': round(time.monotonic() - self._started, 3),
            'reloads': self.reloads,
            'reload_error': self.reload_error,
            'bundle': served.info,
        }

    def recommend(self, request: RecommendRequest) -> dict[str, Any]:
        r"""Recommend items to users, or to a new user."""
        served = self._served
        bundle = served.bundle
        for name in ('items', 'among', 'exclude'):
            check_known(bundle.items, getattr(request, name) or (), name)
        if request.users is None:
            best = bundle.recommend_new(
                request.items or (),
                request.k,
                text=request.text,
                among=request.among,
                exclude=request.exclude,
                intents=request.intents,
                dial=request.dial,
            )
        else:
            check_known(bundle.users, request.users, 'users')
            best = bundle.recommend(
                request.users,
                request.k,
                among=request.among,
                exclude=request.exclude,
                seen=request.seen,
                index=self._index,
                intents=request.intents,
                dial=request.dial,
            )
        return {
            'recommendations': [
                {
                    'user': None if request.users is None else user,
                    'items': ranking_dicts(items),
                }
                for user, items in best
            ],
            'version': served.version,
        }

    def recommend_each(
        self, key: tuple[int, bool], users: Sequence[NodeId]
    ) -> list[Union[dict[str, Any], UnknownId]]:
        r"""Answer requests for one user each, in one batch. The answer to an unknown
        user is an error, and the other answers are not affected. :obj:`key` is the
        :obj:`k` and :obj:`seen` of all requests."""
        served = self._served
        bundle = served.bundle
        known = [user for user in users if user in bundle.users]
        k, seen = key
        best = iter(
            bundle.recommend(known, k, seen=seen, index=self._index) if known else ()
        )
        return [
            {
                'recommendations': [
                    {'user': user, 'items': ranking_dicts(next(best)[1])}
                ],
                'version': served.version,
            }
            if user in bundle.users
            else unknown(bundle.users, user, 'users')
            for user in users
        ]

    def similar(self, request: SimilarRequest) -> dict[str, Any]:
        r"""Find the items or users most similar to one."""
        served = self._served
        bundle = served.bundle
        if request.item is not None:
            check_known(bundle.items, [request.item], 'item')
            found = ranking_dicts(bundle.similar_items(request.item, request.k))
        else:
            assert request.user is not None
            check_known(bundle.users, [request.user], 'user')
            found = ranking_dicts(bundle.similar_users(request.user, request.k))
        return {
            'item': request.item,
            'user': request.user,
            'similar': found,
            'version': served.version,
        }

    def explain(self, request: ExplainRequest) -> dict[str, Any]:
        r"""Explain items for a user."""
        served = self._served
        bundle = served.bundle
        check_known(bundle.users, [request.user], 'user')
        check_known(bundle.items, request.items, 'items')
        found = explain(bundle, request.user, request.items)
        return {
            'explanations': [plain(each.to_dict()) for each in found],
            'version': served.version,
        }

    def steer(self, request: SteerRequest) -> dict[str, Any]:
        r"""Recommend items to a user with intents promoted or demoted."""
        served = self._served
        bundle = served.bundle
        check_known(bundle.users, [request.user], 'user')
        ((_, items),) = bundle.recommend(
            [request.user], request.k, intents=request.intents, dial=request.dial
        )
        effects = item_effects(bundle, request.intents, request.dial)
        places = ranking_dicts(items)
        for place in places:
            row = bundle.items.row(place['item'], 'item')
            place['effects'] = {
                name: float(each[row]) for name, each in effects.items()
            }
        return {
            'user': request.user,
            'intents': [plain(each) for each in bundle.intents(request.user)],
            'items': places,
            'version': served.version,
        }

    def search(self, side: str, query: str, limit: int) -> dict[str, Any]:
        r"""Find users or items by a part of their id or title."""
        served = self._served
        found = (served.users if side == 'user' else served.items).find(query, limit)
        return {'found': found, 'version': served.version}


def check_known(nodes: Nodes, ids: Iterable[NodeId], name: str) -> None:
    r"""Raise :class:`UnknownId` for the first unknown id."""
    for each in ids:
        if each not in nodes:
            raise unknown(nodes, each, name)


def unknown(nodes: Nodes, name: NodeId, argument: str) -> UnknownId:
    r"""Make the error for an unknown id."""
    return UnknownId(f"'{argument}': there is no {nodes.side} with the id {name!r}")


def plain(value: Any) -> Any:
    r"""Convert a value to JSON types. Named tuples become dictionaries, and numbers
    that are not finite become :obj:`None`."""
    if hasattr(value, '_asdict'):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _warm_up(bundle: Bundle, index: str) -> None:
    r"""Compute what a bundle computes on first use, such as the words of its intents.
    Errors are ignored here; requests will raise them again."""
    user, item = bundle.users[:1], bundle.items[:1]
    for work in (
        lambda: bundle.recommend(user, 1, index=index),
        lambda: bundle.intents(user[0]),
        lambda: bundle.explain(user[0], item[0]),
    ):
        with suppress(ValueError):
            work()
