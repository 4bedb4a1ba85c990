from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.typing import NodeId


class RankedItem(NamedTuple):
    r"""An item in a ranking.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> bundle = Bundle(build_model(data), data)
        >>> bundle.similar_items(3, k=1)
        [RankedItem(item=..., title='...', score=...)]
    """

    item: NodeId
    """The original id."""
    title: str
    """The title, or the id if the item has no title."""
    score: float
    """The score or similarity."""
