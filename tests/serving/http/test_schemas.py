from __future__ import annotations

import pytest

pytest.importorskip('pydantic')
pytest.importorskip('fastapi')

from pyg_irllrec.serving.http.schemas import RecommendRequest


def test_a_user_alone_is_answered_with_others():
    assert RecommendRequest(users=['a'], k=3, dial=2.0).alone() == 'a'
    assert RecommendRequest(users=[0]).alone() == 0
    for other in (
        {'users': ['a', 'b']},
        {'items': ['a']},
        {'users': ['a'], 'among': []},
        {'users': ['a'], 'exclude': ['x']},
        {'users': ['a'], 'intents': {'x': 1.0}},
    ):
        assert RecommendRequest(**other).alone() is None
