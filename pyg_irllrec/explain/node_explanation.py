from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.explain.prototype_explanation import PrototypeExplanation
from pyg_irllrec.typing import NodeId


class ActivePrototype(NamedTuple):
    r"""A prototype that is active in a node.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> active = explain.node('user', 3).active_prototypes[0]
        >>> print(f'{active.share:.3f}, {active.lift:.1f} times the mean')
        0.0..., 1... times the mean
    """

    prototype: PrototypeExplanation
    """The prototype in words."""
    share: float
    """The share of the prototype in the node."""
    lift: float
    """The share divided by the mean share over all nodes. Above 1, the node has more of
    the prototype than the average node."""


class NodeExplanation(NamedTuple):
    r"""A user or an item in words.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> explained = explain.node('user', 3)
        >>> explained.intents
        'This person wants to bake bread for the family.'
        >>> len(explained.active_prototypes)
        3
    """

    side: str
    """The type of the node."""
    node: int
    """Its index, from 0."""
    id: NodeId
    """Its original id."""
    text: str
    """Its first text that is not blank, such as a title."""
    intents: str
    """Its intents in the words of a language model, or an empty string."""
    active_prototypes: list[ActivePrototype]
    """Its prototypes with the largest lift, in descending order."""
