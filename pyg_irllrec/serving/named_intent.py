from __future__ import annotations

from typing import NamedTuple


class NamedIntent(NamedTuple):
    r"""A latent intent of a bundle, and how far a user or an item leans to it."""

    name: str
    """The words that are typical of its items, by which
    :meth:`~pyg_irllrec.serving.Bundle.recommend` raises or mutes it."""
    share: float
    """The share that the user or the item has of it."""
    lift: float
    """That share over the mean share of users or of items. Above one, it leans to the
    intent."""
    titles: list[str]
    """The titles of the items that lean to it most."""
