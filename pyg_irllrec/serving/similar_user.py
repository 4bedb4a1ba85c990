from __future__ import annotations

from typing import NamedTuple

from pyg_irllrec.typing import NodeId


class SimilarUser(NamedTuple):
    r"""A user who is like another."""

    user: NodeId
    """The original id."""
    title: str
    """The title; the id where there is none."""
    score: float
    """The similarity, from -1 to 1."""
