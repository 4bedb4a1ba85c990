from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union

import torch
from torch import Tensor
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_irllrec.datasets._ingest.store import SIDES, open_store, read_manifest
from pyg_irllrec.utils.checks import check_choice, check_integer

Ids = Union[Tensor, list[str]]
Transform = Callable[[HeteroData], HeteroData]


class StoredDataset(InMemoryDataset):
    r"""What the datasets share that are written once and opened from then on: one
    :class:`~torch_geometric.data.HeteroData`, and the way from ids to nodes and
    back. Subclasses call :meth:`_open`."""

    def _open(self, folder: Path) -> None:
        self.manifest = read_manifest(folder)
        # Not what a transform makes of it: ids are of all nodes that were written.
        self._stored = open_store(folder)
        self.data, self.slices = self.collate([self._stored])

    @property
    def counts(self) -> dict[str, int]:
        r"""How many rows, interactions, duplicates, users, items, texts, and texts of
        unknown ids there were when this was written."""
        counts: dict[str, int] = self.manifest['counts']
        return counts

    @property
    def user_ids(self) -> Ids:
        r"""The original ids of users, sorted, a row a node: integers of shape
        :math:`(U)`, or a list of strings."""
        return self._ids('user')

    @property
    def item_ids(self) -> Ids:
        r"""The original ids of items, likewise."""
        return self._ids('item')

    def nodes_of(self, side: str, ids: Union[Tensor, Sequence[Any]]) -> Tensor:
        r"""From original ids to nodes, as they are before any transform.

        Args:
            side (str): :obj:`"user"` or :obj:`"item"`.
            ids (torch.Tensor or sequence): Integers or strings, as they were in
                the data, :math:`(M)` of them.

        Raises:
            ValueError: If an id is of the wrong type or unknown.
        """
        known = self._ids(side)
        if isinstance(ids, str):
            raise ValueError("'ids' must be a list of ids, got a single string")
        wanted = ids.tolist() if hasattr(ids, 'tolist') else list(ids)
        kind = int if isinstance(known, Tensor) else str
        for value in wanted:
            if not isinstance(value, kind):
                raise ValueError(
                    f"'ids' must hold ids of {side}s of type {kind.__name__}, got "
                    f'{value!r} of type {type(value).__name__}'
                )
        if isinstance(known, Tensor):
            values = torch.tensor(wanted, dtype=torch.long)
            nodes = torch.searchsorted(known, values).clamp(max=len(known) - 1)
            unknown = known[nodes] != values
        else:
            nodes = torch.tensor(
                [min(bisect_left(known, value), len(known) - 1) for value in wanted],
                dtype=torch.long,
            )
            found = [known[node] for node in nodes.tolist()]
            unknown = torch.tensor(
                [one != other for one, other in zip(found, wanted)], dtype=torch.bool
            )
        if bool(unknown.any()):
            first = wanted[int(unknown.nonzero()[0])]
            raise ValueError(
                f"'ids' must hold ids of {side}s in {self}, got {int(unknown.sum())} "
                f'that are not, the first {first!r}'
            )
        return nodes

    def ids_of(self, side: str, nodes: Union[Tensor, Sequence[int]]) -> Ids:
        r"""From nodes, as they are before any transform, to original ids.

        Args:
            side (str): :obj:`"user"` or :obj:`"item"`.
            nodes (torch.Tensor or sequence of int): Nodes, of shape :math:`(M)`.

        Returns:
            The ids, a tensor of integers or a list of strings.

        Raises:
            ValueError: If a node is out of range.
        """
        known = self._ids(side)
        rows = torch.as_tensor(nodes)
        rows = rows.long() if rows.numel() == 0 else rows
        check_integer('nodes', rows)
        outside = rows[(rows < 0) | (rows >= len(known))]
        if outside.numel() > 0:
            raise ValueError(
                f"'nodes' must hold {side}s from 0 to {len(known) - 1}, got "
                f'{int(outside[0])}'
            )
        if isinstance(known, Tensor):
            return known[rows]
        return [known[node] for node in rows.tolist()]

    def _ids(self, side: str) -> Ids:
        check_choice('side', side, SIDES)
        ids: Ids = self._stored[side].id
        return ids

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f'{type(self).__name__}(num_users={counts["users"]}, '
            f'num_items={counts["items"]}, num_interactions={counts["interactions"]})'
        )
