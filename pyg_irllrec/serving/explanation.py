from __future__ import annotations

from typing import Any, NamedTuple, Optional

from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.typing import NodeId


class Explanation(NamedTuple):
    r"""An explanation of why an item is recommended to a user, from
    :meth:`Bundle.explain() <pyg_irllrec.serving.Bundle.explain>`.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explanation = Bundle(build_model(data), data).explain(0, 5)
        >>> print(explanation.text)
        Item 5 is number ... items that user 0 has not seen. ...
    """

    user: NodeId
    """The id of the user."""
    item: NodeId
    """The id of the item."""
    title: str
    """The title of the item."""
    text: str
    """The explanation in a few plain sentences."""
    score: float
    """The score by which the item is ranked."""
    rank: Optional[int]
    """The rank of the item among those that the user has not seen, from 1;
    :obj:`None` if the user has seen it."""
    similar: list[RankedItem]
    """The user's own items that are most similar to the item, with the cosine
    similarity of their embeddings as the score. Items that do not exceed chance
    similarity are left out."""
    intents: list[NamedIntent]
    """The intents above the mean for both the user and the item, with the shares and
    lifts of the user."""

    def to_dict(self) -> dict[str, Any]:
        r"""Return the fields as a dictionary for :func:`json.dumps`."""
        return {
            **self._asdict(),
            'similar': ranking_dicts(self.similar),
            'intents': [each._asdict() for each in self.intents],
        }
