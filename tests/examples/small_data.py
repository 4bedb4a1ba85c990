"""The embedded dataset, small enough for t-SNE."""

from __future__ import annotations

from functools import partial

import pytest

from pyg_irllrec.cli import trained_run
from pyg_irllrec.datasets import SyntheticIntents
from tests.examples.run_example import load_example


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the embedded dataset gets 60 users and 40 items of it."""
    small = partial(SyntheticIntents, num_users=60, num_items=40, num_intents=4)
    monkeypatch.setattr(load_example('demo'), 'SyntheticIntents', small)
    for module in (load_example('irllrec'), trained_run):
        monkeypatch.setattr(module, 'load_dataset', lambda *_: small()[0])
