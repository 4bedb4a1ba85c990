from __future__ import annotations

from typing import NamedTuple

import pytest

pytest.importorskip('fastapi')

from pyg_irllrec.serving import Nodes
from pyg_irllrec.serving.http._node_search import NodeSearch
from pyg_irllrec.serving.http.service import Service, UnknownId, plain
from tests.serving.bundles import bare_bundle, plain_bundle


def test_replaces_the_bundle():
    service = Service(plain_bundle(), 'one')
    service.reload_error = 'an earlier error'
    service.replace(bare_bundle(), 'two')
    health = service.health()
    assert (health['version'], health['reloads']) == ('two', 1)
    assert health['reload_error'] is None
    assert service.search('user', '', 1)['found'] == [{'user': 0, 'title': '0'}]


def test_an_unknown_user_does_not_affect_the_others():
    service = Service(plain_bundle(), 'one')
    users = ['user-002', 'nobody', 'user-001', 'user-002']
    first, missing, second, again = service.recommend_each((3, False), users)
    assert isinstance(missing, UnknownId) and 'nobody' in str(missing)
    assert first == again and first != second
    assert [each['recommendations'][0]['user'] for each in (first, second)] == [
        'user-002',
        'user-001',
    ]
    (unknown,) = service.recommend_each((3, False), ['nobody'])
    assert isinstance(unknown, UnknownId)


def test_named_tuples_are_json():
    class Inner(NamedTuple):
        value: int

    class Outer(NamedTuple):
        inner: list[Inner]
        more: dict[int, tuple[str, float]]

    found = plain(Outer([Inner(1)], {2: ('a', float('nan'))}))
    assert found == {'inner': [{'value': 1}], 'more': {'2': ['a', None]}}


def test_search():
    names = ['b1', 'a1', 'ß', 'A\n2']
    titles = ['Étude  a1', '', 'Straße', 'x']
    search = NodeSearch(Nodes('item', names, titles))

    def find(query: str, limit: int = 10) -> list[object]:
        return [each['item'] for each in search.find(query, limit)]

    assert find('') == names and find('', 2) == names[:2]
    # Ids that start with the query come before titles that contain it.
    assert find('a1') == ['a1', 'b1'] and find('A1', 1) == ['a1']
    assert find('ÉTUDE a') == ['b1'] and find('STRASSE') == ['ß']
    assert find('a 2 x') == ['A\n2'] and find('1 a') == [] and find('\n') == names
    assert NodeSearch(Nodes('user', [])).find('', 5) == []
