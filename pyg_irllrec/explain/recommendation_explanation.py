from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.explain.node_explanation import NodeExplanation


class RecommendationExplanation(NamedTuple):
    r"""The recommendation of an item to a user, in words.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> why = explain.recommendation(user=3, item=7)
        >>> why.item.text
        '...mostly about ...'
        >>> [round(similarity, 1) for _, similarity in why.similar]
        [...]
    """

    user: NodeExplanation
    """The user."""
    item: NodeExplanation
    """The item."""
    score: float
    """The ranking score, which is an inner product or the score of a blend."""
    rank: int
    """The rank of the item among all items that may be recommended to the user, from 1.
    It is 0 if the item is excluded, for example as a training item."""
    similar: list[tuple[NodeExplanation, float]]
    """The training items of the user that are most similar to the item, with the cosine
    similarity of their embeddings."""
