r"""Rankings as lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pyg_irllrec.cli.table import table
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.similar_user import SimilarUser

Ranking = Sequence[RankedItem | SimilarUser]


def ranking_lines(ranking: Ranking) -> list[str]:
    r"""A table of ranks, ids, titles and scores. Titles that are the ids are left
    out."""
    if not ranking:
        return ['nothing is left']
    rows = [
        [rank, str(id), title, score]
        for rank, (id, title, score) in enumerate(ranking, start=1)
    ]
    if all(id == title for _, id, title, _ in rows):
        return table(
            ['rank', 'id', 'score'], [[row[0], row[1], row[3]] for row in rows]
        )
    return table(['rank', 'id', 'title', 'score'], rows)
