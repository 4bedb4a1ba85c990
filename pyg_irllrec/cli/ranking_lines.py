r"""Rankings as text."""

from __future__ import annotations

from collections.abc import Sequence

from pyg_irllrec.cli.table import table
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.similar_user import SimilarUser

Ranking = Sequence[RankedItem | SimilarUser]


def ranking_lines(ranking: Ranking) -> list[str]:
    r"""Return a table of ranks, ids, titles and scores, without the column of titles if
    all titles equal the ids."""
    if not ranking:
        return ['no results']
    rows = [
        [rank, str(id), title, score]
        for rank, (id, title, score) in enumerate(ranking, start=1)
    ]
    if all(id == title for _, id, title, _ in rows):
        return table(
            ['rank', 'id', 'score'], [[row[0], row[1], row[3]] for row in rows]
        )
    return table(['rank', 'id', 'title', 'score'], rows)
