from __future__ import annotations

from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.similar_user import SimilarUser


def test_an_object_per_place():
    ranking = [RankedItem(7, 'Emma', 0.5), RankedItem(12, '12', 0.25)]
    second = {'rank': 2, 'item': 12, 'title': '12', 'score': 0.25}
    assert ranking_dicts(ranking)[1] == second
    (user,) = ranking_dicts([SimilarUser('ben', 'ben', 0.5)])
    assert user == {'rank': 1, 'user': 'ben', 'title': 'ben', 'score': 0.5}
