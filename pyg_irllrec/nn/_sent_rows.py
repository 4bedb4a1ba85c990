from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

import torch
from torch import Tensor


class SentRows(NamedTuple):
    r"""The rows of texts that a batch reads, on its device."""

    triplets: Tensor
    """The batch, on the device."""
    rows: dict[str, Tensor]
    """The rows of its distinct nodes, by the name of the text."""
    places: Tensor
    """Which row is that of each node of the batch."""
    event: torch.cuda.Event
    """When they have arrived."""


class RowSender:
    r"""Send rows of texts from the host to a GPU, on a stream of its own, beside what
    the GPU computes. A batch that is sent ahead is found again by its tensor."""

    def __init__(self) -> None:
        self._ahead: list[SentRows] = []
        self._stream: Optional[torch.cuda.Stream] = None

    def __reduce__(self) -> tuple[type[RowSender], tuple[()]]:
        return RowSender, ()  # A copy has sent nothing.

    def send_ahead(
        self, texts: Mapping[str, Tensor], nodes: Tensor, triplets: Tensor
    ) -> None:
        r"""The same as :meth:`send` for a batch that :meth:`find` will be asked for."""
        # What was sent before the one before was never asked for.
        self._ahead = [*self._ahead[-1:], self.send(texts, nodes, triplets)]

    def send(
        self, texts: Mapping[str, Tensor], nodes: Tensor, triplets: Tensor
    ) -> SentRows:
        r"""Start to send rows, which are to be received before they are read.

        Args:
            texts (dict): The texts by name, on the host.
            nodes (torch.Tensor): The nodes of the batch, on the host.
            triplets (torch.Tensor): The batch, on the device.
        """
        device = triplets.device
        nodes, places = nodes.unique(return_inverse=True)
        if self._stream is None or self._stream.device != device:
            self._stream = torch.cuda.Stream(device)
        # Gathered into pinned memory, which its allocator keeps until it is sent.
        gathered = {name: _gather(text, nodes) for name, text in texts.items()}
        places = places.pin_memory()
        with torch.cuda.stream(self._stream):
            rows = {
                name: each.to(device, non_blocking=True)
                for name, each in gathered.items()
            }
            places = places.to(device, non_blocking=True)
            event = torch.cuda.Event()
            event.record(self._stream)
        return SentRows(triplets, rows, places, event)

    def find(self, triplets: Tensor) -> Optional[SentRows]:
        r"""The rows that were sent ahead for a batch, once."""
        for place, sent in enumerate(self._ahead):
            if sent.triplets is triplets:
                del self._ahead[: place + 1]
                return sent
        return None


def receive(sent: SentRows) -> SentRows:
    r"""Let the current stream wait for rows, whose memory is then its own."""
    stream = torch.cuda.current_stream(sent.triplets.device)
    stream.wait_event(sent.event)
    for each in (*sent.rows.values(), sent.places):
        each.record_stream(stream)
    return sent


def _gather(text: Tensor, nodes: Tensor) -> Tensor:
    shape = (nodes.numel(), text.size(1))
    rows = torch.empty(shape, dtype=text.dtype, device='cpu', pin_memory=True)
    return torch.index_select(text, 0, nodes, out=rows)
