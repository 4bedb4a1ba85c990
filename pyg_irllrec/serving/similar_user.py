from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.typing import NodeId


class SimilarUser(NamedTuple):
    r"""A user who is similar to another.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> bundle = Bundle(build_model(data), data)
        >>> bundle.similar_users(3, k=1)
        [SimilarUser(user=..., title='...', score=...)]
    """

    user: NodeId
    """The original id."""
    title: str
    """The title, or the id if the user has no title."""
    score: float
    """The similarity, from -1 to 1."""
