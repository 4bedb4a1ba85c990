r"""Which parts of a model share the rows of a loss among ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn import Module

from pyg_irllrec.utils.ranks import Ranks


@contextmanager
def shared_loss(model: Module, ranks: Ranks) -> Iterator[None]:
    r"""Meanwhile the losses of a model are those of a rank: the mean over ranks of each
    term is the term. A part that has :obj:`ranks` computes its own rows alone, other
    parts all of them. Every rank must have the same weights, batch and draws."""
    parts = [part for part in model.modules() if hasattr(type(part), 'ranks')]
    for part in parts:
        part.ranks = ranks  # type: ignore[assignment]
    try:
        yield
    finally:
        for part in parts:
            del part.ranks
