from __future__ import annotations

import pytest

pytest.importorskip('pydantic')
pytest.importorskip('fastapi')

from pyg_irllrec.serving.http.schemas import RecommendRequest


def test_requests_for_one_user_can_be_batched():
    assert RecommendRequest(users=['a'], k=3, dial=2.0).single_user() == 'a'
    assert RecommendRequest(users=[0]).single_user() == 0
    for other in (
        {'users': ['a', 'b']},
        {'items': ['a']},
        {'users': ['a'], 'among': []},
        {'users': ['a'], 'exclude': ['x']},
        {'users': ['a'], 'intents': {'x': 1.0}},
    ):
        assert RecommendRequest(**other).single_user() is None
