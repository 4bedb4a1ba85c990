"""A smaller embedded dataset for the demo."""

from __future__ import annotations

from functools import partial

import pytest

from pyg_irllrec.datasets import SyntheticIntents
from tests.examples.run_example import load_example


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the demo use 60 users and 40 items, so that t-SNE is fast."""
    small = partial(SyntheticIntents, num_users=60, num_items=40, num_intents=4)
    monkeypatch.setattr(load_example('demo'), 'SyntheticIntents', small)
