r"""Store text embeddings on the host or in half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pyg_irllrec.utils.warn_caller import warn_caller

TEXT_STORAGES = ('device', 'half', 'host')

_ROWS_AT_ONCE = 2**15
"""Rows of a text on the device at once, in the dtype of the weights: 200 MB for 1536
columns."""


def store_text(text: Tensor, storage: str) -> Tensor:
    r"""Convert a text to the form in which it is stored."""
    if storage == 'half':
        return text.to(torch.bfloat16)
    return text.cpu() if storage == 'host' else text


def move_text(
    text: Tensor, fn: Callable[[Tensor], Tensor], storage: str, device: torch.device
) -> Tensor:
    r"""Return a stored text after :obj:`fn` has moved its model to another device or
    dtype. The dtype of the text does not change."""
    if storage == 'half':
        return fn(text).to(torch.bfloat16)
    if device.type != 'cuda' or text.is_pinned():
        return text
    try:
        return text.pin_memory()  # Copies from pinned memory are asynchronous.
    except RuntimeError as error:
        cause = str(error).partition('\n')[0]
        warn_caller(f"'text_storage' is 'host', but not in pinned memory: {cause}")
        return text


def project_all(
    project: Callable[[Tensor], Any], text: Tensor, storage: str, device: torch.device
) -> Tensor:
    r"""Return the output of a tower for all rows of a text. A text on the host or in
    half precision is read in chunks, and read again in the backward pass, so that only
    one chunk takes memory on the device."""
    if storage == 'device':
        whole: Tensor = project(text)
        return whole

    def read(chunk: Tensor, anchor: Tensor) -> Tensor:
        out: Tensor = project(chunk.to(device, non_blocking=True))
        return out

    # checkpoint() restores autocast for the devices of its arguments, so that one of
    # them must be on this device.
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
