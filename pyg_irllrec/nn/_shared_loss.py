r"""Which parts of a model share the rows of a loss among ranks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn import Module

from pyg_irllrec.utils.ranks import Ranks


def send_no_buffers(module: Module) -> None:
    r"""Keep :class:`~torch.nn.parallel.DistributedDataParallel` from sending buffers
    in every step: all processes have the graph and the texts, be it on the host, and
    move a teacher alike."""
    names = [name for name, _ in module.named_buffers()]
    module._ddp_params_and_buffers_to_ignore = names  # type: ignore[assignment]


def send_saved_buffers(module: Module, ranks: Ranks) -> None:
    r"""Give the buffers of the first process that are saved, as those of a teacher, to
    all others, once."""
    saved = module.state_dict().keys()
    for name, value in module.named_buffers():
        if name in saved:
            ranks.send(value)


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
