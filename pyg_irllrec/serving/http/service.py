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
    r"""A request names a user or an item that is not there."""


class Held(NamedTuple):
    r"""A bundle that is served, with what is made of it once."""

    bundle: Bundle
    version: str
    users: NodeSearch
    items: NodeSearch
    info: dict[str, Any]


class Service:
    r"""Answers requests from the bundle that it holds, with values that JSON has.
    Another bundle may take its place at any moment: each request is answered from one
    of them.

    Args:
        bundle (Bundle): What is served.
        version (str): Its name in answers.
        index (str): How the items of users are searched.
            (default: :obj:`"exact"`)
    """

    def __init__(self, bundle: Bundle, version: str, index: str = 'exact') -> None:
        self._index = index
        self._started = time.monotonic()
        self.reloads = -1
        self.reload_error: Optional[str] = None
        self.replace(bundle, version)

    @property
    def version(self) -> str:
        r"""The name of the bundle that is served now."""
        return self._held.version

    def replace(self, bundle: Bundle, version: str) -> None:
        r"""Put another bundle in the place of the one that is served."""
        _warm_up(bundle, self._index)
        users, items = NodeSearch(bundle.users), NodeSearch(bundle.items)
        self._held = Held(bundle, version, users, items, plain(bundle.info()))
        self.reloads += 1
        self.reload_error = None

    def health(self) -> dict[str, Any]:
        r"""What is served, and for how long."""
        held = self._held
        return {
            'status': 'ok',
            'version': held.version,
            'uptime_seconds': round(time.monotonic() - self._started, 3),
            'reloads': self.reloads,
            'reload_error': self.reload_error,
            'bundle': held.info,
        }

    def recommend(self, request: RecommendRequest) -> dict[str, Any]:
        r"""The best items of users, or of somebody new."""
        held = self._held
        bundle = held.bundle
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
            'version': held.version,
        }

    def recommend_each(
        self, key: tuple[int, bool], users: Sequence[NodeId]
    ) -> list[Union[dict[str, Any], UnknownId]]:
        r"""The answers to requests of one user each, which are worked on together; an
        unknown one does not spoil those of others. The key is their :obj:`k` and
        :obj:`seen`."""
        held = self._held
        bundle = held.bundle
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
                'version': held.version,
            }
            if user in bundle.users
            else unknown(bundle.users, user, 'users')
            for user in users
        ]

    def similar(self, request: SimilarRequest) -> dict[str, Any]:
        r"""The items or users that are most like one."""
        held = self._held
        bundle = held.bundle
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
            'version': held.version,
        }

    def explain(self, request: ExplainRequest) -> dict[str, Any]:
        r"""What items are to a user, in words."""
        held = self._held
        bundle = held.bundle
        check_known(bundle.users, [request.user], 'user')
        check_known(bundle.items, request.items, 'items')
        found = explain(bundle, request.user, request.items)
        return {
            'explanations': [plain(each.to_dict()) for each in found],
            'version': held.version,
        }

    def steer(self, request: SteerRequest) -> dict[str, Any]:
        r"""The intents of a user, and the list with intents raised or muted."""
        held = self._held
        bundle = held.bundle
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
            'version': held.version,
        }

    def search(self, side: str, query: str, limit: int) -> dict[str, Any]:
        r"""The first users or items that match a text."""
        held = self._held
        found = (held.users if side == 'user' else held.items).find(query, limit)
        return {'found': found, 'version': held.version}


def check_known(nodes: Nodes, ids: Iterable[NodeId], name: str) -> None:
    r"""Raise :class:`UnknownId` at the first id that is not there."""
    for each in ids:
        if each not in nodes:
            raise unknown(nodes, each, name)


def unknown(nodes: Nodes, name: NodeId, argument: str) -> UnknownId:
    r"""An error that names an id that is not there."""
    return UnknownId(f"'{argument}': there is no {nodes.side} with the id {name!r}")


def plain(value: Any) -> Any:
    r"""Named tuples as JSON has them; a number that is not finite is None."""
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
    r"""Make what a bundle makes on its first use, such as the words of its intents.
    What a model cannot do is an error of the requests that ask for it."""
    user, item = bundle.users[:1], bundle.items[:1]
    for work in (
        lambda: bundle.recommend(user, 1, index=index),
        lambda: bundle.intents(user[0]),
        lambda: bundle.explain(user[0], item[0]),
    ):
        with suppress(ValueError):
            work()
