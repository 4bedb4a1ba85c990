r"""Texts that lie elsewhere, or narrower, than where they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_irllrec.utils.warn_caller import warn_caller

TEXT_STORAGES = ('device', 'half', 'host')

_ROWS_AT_ONCE = 2**15
"""Of a text, on the device and as wide as weights: 200 MB at 1536 columns."""


def store_text(text: Tensor, storage: str) -> Tensor:
    r"""A text as it is kept."""
    if storage == 'half':
        return text.to(torch.bfloat16)
    return text.cpu() if storage == 'host' else text


def move_text(
    text: Tensor, fn: Callable[[Tensor], Tensor], storage: str, device: torch.device
) -> Tensor:
    r"""What is kept of a text when :obj:`fn` moves its model to another device, or to
    another dtype, which the text does not take."""
    if storage == 'half':
        return fn(text).to(torch.bfloat16)
    if device.type != 'cuda' or text.is_pinned():
        return text
    try:
        return text.pin_memory()  # From there it is sent without waiting for it.
    except RuntimeError as error:
        cause = str(error).partition('\n')[0]
        warn_caller(f"'text_storage' is 'host', but not in pinned memory: {cause}")
        return text


def project_all(
    project: Callable[[Tensor], Any], text: Tensor, storage: str, device: torch.device
) -> Tensor:
    r"""The output of a tower for all rows of a text. One that is narrow or lies on the
    host is read in chunks, again in the backward pass, so that no more than a chunk of
    it takes memory on the device."""
    if storage == 'device':
        whole: Tensor = project(text)
        return whole

    def read(chunk: Tensor, anchor: Tensor) -> Tensor:
        out: Tensor = project(chunk.to(device, non_blocking=True))
        return out

    # What checkpoint() is given lies where it has to restore autocast.
    anchor = torch.empty(0, device=device)
    chunks = text.split(_ROWS_AT_ONCE)
    if len(chunks) == 1:
        return read(text, anchor)
    return torch.cat(
        [
            checkpoint(
                read, chunk, anchor, use_reentrant=False, preserve_rng_state=False
            )
            for chunk in chunks
        ]
    )
