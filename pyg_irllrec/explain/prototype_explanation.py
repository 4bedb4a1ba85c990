from __future__ import annotations

from typing import NamedTuple


class PrototypeExplanation(NamedTuple):
    r"""A latent intent (prototype) in words.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> prototype = explain.prototypes('user')[0]
        >>> len(prototype.words), len(prototype.nodes)
        (4, 3)
    """

    side: str
    """The node type that it belongs to."""
    number: int
    """Its index, from 0."""
    share: float
    """Its mean share over all nodes."""
    words: list[str]
    """The terms that are typical of the texts of the nodes in which it is active."""
    nodes: list[int]
    """The nodes with the largest share of it."""
    texts: list[str]
    """The texts of these nodes."""
