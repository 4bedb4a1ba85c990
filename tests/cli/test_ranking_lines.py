from __future__ import annotations

from pyg_irllrec.cli.ranking_lines import ranking_lines
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.similar_user import SimilarUser


def test_ids_titles_and_scores():
    ranking = [RankedItem(7, 'Emma', 0.5), RankedItem(12, '12', 0.25)]
    assert ranking_lines(ranking) == [
        'rank  id  title   score',
        '   1  7   Emma   0.5000',
        '   2  12  12     0.2500',
    ]


def test_without_titles():
    ranking = [SimilarUser(7, '7', 0.5)]
    assert ranking_lines(ranking) == ['rank  id   score', '   1  7   0.5000']
    assert ranking_lines([]) == ['no results']
