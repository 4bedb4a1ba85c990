from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.typing import NodeId


class RankedItem(NamedTuple):
    r"""An item in a ranking."""

    item: NodeId
    """Its original id."""
    title: str
    """Its title; its id where it has none."""
    score: float
    """Its score, or its similarity."""
