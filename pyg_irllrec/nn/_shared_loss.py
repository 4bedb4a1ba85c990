r"""Split the rows of a loss across ranks, and choose the buffers that DDP sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn import Module

from pyg_irllrec.utils.ranks import Ranks


def send_no_buffers(module: Module) -> None:
    r"""Keep :class:`~torch.nn.parallel.DistributedDataParallel` from sending buffers in
    every step: all processes have the same graph and texts and update the teacher in
    the same way."""
    names = [name for name, _ in module.named_buffers()]
    module._ddp_params_and_buffers_to_ignore = names  # type: ignore[assignment]


def send_saved_buffers(module: Module, ranks: Ranks) -> None:
    r"""Send the buffers in the state dict, such as the weights of a teacher, from the
    first process to all others, once."""
    saved = module.state_dict().keys()
    for name, value in module.named_buffers():
        if name in saved:
            ranks.send(value)


@contextmanager
def shared_loss(model: Module, ranks: Ranks) -> Iterator[None]:
    r"""Within this context each rank computes its share of the losses of a model: the
    mean of a term over ranks is the term. Modules with an attribute :obj:`ranks`
    compute only the rows of their rank, other modules compute all rows. All ranks must
    have the same weights, batch and random draws."""
    parts = [part for part in model.modules() if hasattr(type(part), 'ranks')]
    for part in parts:
        part.ranks = ranks  # type: ignore[assignment]
    try:
        yield
    finally:
        for part in parts:
            del part.ranks
