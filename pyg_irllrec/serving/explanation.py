from __future__ import annotations

from typing import Any, NamedTuple, Optional

from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.typing import NodeId


class Explanation(NamedTuple):
    r"""Why an item is recommended to a user."""

    user: NodeId
    """The id of the user."""
    item: NodeId
    """The id of the item."""
    title: str
    """Its title."""
    text: str
    """All this in two or three plain sentences."""
    score: float
    """What items are ranked by."""
    rank: Optional[int]
    """The place of the item among those that the user has not seen, from 1;
    :obj:`None` for one that the user has seen."""
    similar: list[RankedItem]
    """The user's own items that are the most like it, by the cosine of their
    embeddings, which is their score; none that is no more like it than chance has
    it."""
    intents: list[NamedIntent]
    """The intents that both the user and the item lean to, as the user has them."""

    def to_dict(self) -> dict[str, Any]:
        r"""What :func:`json.dumps` takes: these fields, with objects in its lists."""
        return {
            **self._asdict(),
            'similar': ranking_dicts(self.similar),
            'intents': [each._asdict() for each in self.intents],
        }
