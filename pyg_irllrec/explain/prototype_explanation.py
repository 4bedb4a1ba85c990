from __future__ import annotations

from typing import NamedTuple


class PrototypeExplanation(NamedTuple):
    r"""A latent intent in words."""

    side: str
    """The type of the nodes that it is an intent of."""
    number: int
    """Its number, from zero."""
    share: float
    """The mean share that nodes have of it."""
    words: list[str]
    """The terms that are typical of the texts of nodes that lean to it."""
    nodes: list[int]
    """The nodes that lean to it most."""
    texts: list[str]
    """The texts of these."""
