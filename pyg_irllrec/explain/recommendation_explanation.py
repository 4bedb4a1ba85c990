from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.explain.node_explanation import NodeExplanation


class RecommendationExplanation(NamedTuple):
    r"""An item for a user, in words."""

    user: NodeExplanation
    """The user."""
    item: NodeExplanation
    """The item."""
    score: float
    """What items are ranked by, an inner product or the score of a blend."""
    rank: int
    """The place of the item among all items that may be recommended to the user, from
    1; 0 for one that may not, such as a training item."""
    similar: list[tuple[NodeExplanation, float]]
    """Training items of the user that are the most like it, with the cosine of their
    embeddings."""
