from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.explain.prototype_explanation import PrototypeExplanation
from pyg_irllrec.typing import NodeId


class ActivePrototype(NamedTuple):
    r"""A prototype that a node leans to."""

    prototype: PrototypeExplanation
    share: float
    """The node's share of it."""
    lift: float
    """That share over the mean share. Above one, the node leans to it."""


class NodeExplanation(NamedTuple):
    r"""A user or an item in words."""

    side: str
    """The type of the node."""
    node: int
    """Its number, from zero."""
    id: NodeId
    """Its original id."""
    text: str
    """What it is called or described as."""
    intents: str
    """Its intents as a language model wrote them; blank where there are none."""
    active_prototypes: list[ActivePrototype]
    """The prototypes that it leans to, by lift, the largest first."""
