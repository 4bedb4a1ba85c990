from __future__ import annotations

from typing import NamedTuple


class NamedIntent(NamedTuple):
    r"""A latent intent of a bundle in words, and its share for a user or an item,
    from :meth:`Bundle.intents() <pyg_irllrec.serving.Bundle.intents>`.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> bundle = Bundle(build_model(data, alignment='full'), data)
        >>> intent = bundle.intents(0)[0]  # the one with the largest lift
        >>> intent.name
        '...'
        >>> best = bundle.recommend([0], k=3, intents={intent.name: 1.0})
    """

    name: str
    """Words that are typical of the items of the intent.
    :meth:`~pyg_irllrec.serving.Bundle.recommend` promotes or demotes the intent by this
    name."""
    share: float
    """The share of the intent in all intents of the user or item."""
    lift: float
    """The share divided by the mean share of all users or items. Above 1, the intent
    is stronger than for the average user or item."""
    titles: list[str]
    """The titles of the items in which the intent is strongest."""
