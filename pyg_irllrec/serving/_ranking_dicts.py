from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.similar_user import SimilarUser


def ranking_dicts(
    ranking: Sequence[Union[RankedItem, SimilarUser]],
) -> list[dict[str, Any]]:
    r"""Convert a ranking to one dictionary per place, for JSON, with :obj:`rank` (from
    1), :obj:`item` or :obj:`user`, :obj:`title` and :obj:`score`."""
    return [{'rank': rank, **each._asdict()} for rank, each in enumerate(ranking, 1)]
