from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Optional

import torch
from torch import Tensor


class SentRows(NamedTuple):
    r"""The text rows that a batch reads, on the device of the batch."""

    triplets: Tensor
    """The batch, on the device."""
    rows: dict[str, Tensor]
    """The rows of the distinct nodes of the batch, by the name of the text."""
    places: Tensor
    """The index of the row of each node of the batch."""
    event: torch.cuda.Event
    """An event that is recorded when all rows have arrived."""


class RowSender:
    r"""Copy text rows from the host to a GPU on a separate stream, while the GPU
    computes. A batch that was sent ahead is identified by its tensor."""

    def __init__(self) -> None:
        self._ahead: list[SentRows] = []
        self._stream: Optional[torch.cuda.Stream] = None

    def __reduce__(self) -> tuple[type[RowSender], tuple[()]]:
        return RowSender, ()  # A copy starts with an empty queue.

    def send_ahead(
        self, texts: Mapping[str, Tensor], nodes: Tensor, triplets: Tensor
    ) -> None:
        r"""Send the rows of a batch that :meth:`find` will be called with later."""
        # Keep two batches at most: older ones were never used.
        self._ahead = [*self._ahead[-1:], self.send(texts, nodes, triplets)]

    def send(
        self, texts: Mapping[str, Tensor], nodes: Tensor, triplets: Tensor
    ) -> SentRows:
        r"""Start to copy rows. Call :func:`receive` before you read them.

        Args:
            texts (dict): The texts by name, on the host.
            nodes (torch.Tensor): The nodes of the batch, on the host.
            triplets (torch.Tensor): The batch, on the device.
        """
        device = triplets.device
        nodes, places = nodes.unique(return_inverse=True)
        if self._stream is None or self._stream.device != device:
            self._stream = torch.cuda.Stream(device)
        # The allocator keeps pinned memory until the copy has finished.
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
        r"""Return the rows that were sent ahead for a batch and remove them from the
        queue; :obj:`None` if there are none."""
        for place, sent in enumerate(self._ahead):
            if sent.triplets is triplets:
                del self._ahead[: place + 1]
                return sent
        return None


def receive(sent: SentRows) -> SentRows:
    r"""Make the current stream wait for the rows and take over their memory."""
    stream = torch.cuda.current_stream(sent.triplets.device)
    stream.wait_event(sent.event)
    for each in (*sent.rows.values(), sent.places):
        each.record_stream(stream)
    return sent


def _gather(text: Tensor, nodes: Tensor) -> Tensor:
    shape = (nodes.numel(), text.size(1))
    rows = torch.empty(shape, dtype=text.dtype, device='cpu', pin_memory=True)
    return torch.index_select(text, 0, nodes, out=rows)
