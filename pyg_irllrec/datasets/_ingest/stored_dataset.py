from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch_geometric.data import InMemoryDataset

from pyg_irllrec.datasets._ingest.store import check_files, open_store, read_manifest
from pyg_irllrec.typing import SIDES, Ids
from pyg_irllrec.utils.argument_checks import is_iterable
from pyg_irllrec.utils.checks import check_choice, check_integer


class StoredDataset(InMemoryDataset):
    r"""A dataset that is written to disk once and memory-mapped from there: one
    :class:`~torch_geometric.data.HeteroData`, and the mapping from ids to nodes and
    back. Subclasses must call :meth:`_open`."""

    def _open(self, folder: Path) -> None:
        self.manifest = read_manifest(folder)
        check_files(folder, self.manifest)
        # Without the transform, so that all nodes on disk have ids.
        self._stored = open_store(folder, self.counts)
        self.data, self.slices = self.collate([self._stored])

    @property
    def counts(self) -> dict[str, int]:
        r"""The numbers of rows, interactions, duplicates, users, items, texts, and
        texts of unknown ids, from when the dataset was built."""
        counts: dict[str, int] = self.manifest['counts']
        return counts

    @property
    def user_ids(self) -> Ids:
        r"""The original ids of users, sorted, one per node, as a tensor of integers of
        shape :math:`(U)`, or a list of strings."""
        return self._ids('user')

    @property
    def item_ids(self) -> Ids:
        r"""The original ids of items, sorted, one per node, as a tensor of integers of
        shape :math:`(I)`, or a list of strings."""
        return self._ids('item')

    def nodes_of(self, side: str, ids: Union[Tensor, Sequence[Any]]) -> Tensor:
        r"""Map original ids to nodes, as numbered before any transform.

        Args:
            side (str): :obj:`"user"` or :obj:`"item"`.
            ids (torch.Tensor or sequence): :math:`M` integers or strings, as in the
                raw data. The rules for ids in tables apply: :obj:`7`, :obj:`"7"` and
                :obj:`" 7 "` are one id.

        Returns:
            The nodes, of shape :math:`(M)`.

        Raises:
            ValueError: If an id is missing, has another type or is unknown.
        """
        all_ids = self._ids(side)
        has_order = not isinstance(ids, (set, frozenset))
        if not is_iterable(ids) or not has_order:
            raise ValueError(
                f"'ids' must be a list of ids or a tensor, got {type(ids).__name__}"
            )
        column, values = _match(ids, isinstance(all_ids, Tensor))
        last = len(all_ids) - 1
        if isinstance(all_ids, Tensor):
            tensor = torch.tensor(values.fill_null(0).to_numpy())
            nodes = torch.searchsorted(all_ids, tensor).clamp(max=last)
            not_integer = torch.tensor(values.is_null().to_numpy(zero_copy_only=False))
            unknown = (all_ids[nodes] != tensor) | not_integer
        else:
            names = values.to_pylist()
            rows = [min(bisect_left(all_ids, name), last) for name in names]
            nodes = torch.tensor(rows, dtype=torch.long)
            unknown = torch.tensor(
                [all_ids[row] != name for row, name in zip(rows, names)],
                dtype=torch.bool,
            )
        if bool(unknown.any()):
            first = column[int(unknown.nonzero()[0])].as_py()
            raise ValueError(
                f"'ids' must hold ids of {side}s in {self}, got {int(unknown.sum())} "
                f'unknown ids (first: {first!r})'
            )
        return nodes

    def ids_of(self, side: str, nodes: Union[Tensor, Sequence[int]]) -> Ids:
        r"""Map nodes, as numbered before any transform, to original ids.

        Args:
            side (str): :obj:`"user"` or :obj:`"item"`.
            nodes (torch.Tensor or sequence of int): Nodes, of shape :math:`(M)`.

        Returns:
            The ids, a tensor of integers or a list of strings.

        Raises:
            ValueError: If a node is out of range.
        """
        all_ids = self._ids(side)
        try:
            rows = torch.as_tensor(nodes)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ValueError(
                f"'nodes' must be a vector of node indices, got {nodes!r}"
            ) from None
        if rows.dim() != 1 or rows.layout is not torch.strided:
            raise ValueError(
                "'nodes' must be a dense vector, got shape "
                f'{tuple(rows.shape)}, {rows.layout}'
            )
        rows = rows.long() if rows.numel() == 0 else rows
        check_integer('nodes', rows)
        rows = rows.long()
        outside = rows[(rows < 0) | (rows >= len(all_ids))]
        if outside.numel() > 0:
            raise ValueError(
                f"'nodes' must hold {side}s from 0 to {len(all_ids) - 1}, got "
                f'{int(outside[0])}'
            )
        if isinstance(all_ids, Tensor):
            return all_ids[rows]
        return [all_ids[node] for node in rows.tolist()]

    def _ids(self, side: str) -> Ids:
        check_choice('side', side, SIDES)
        ids: Ids = self._stored[side].id
        return ids

    @property
    def time_unit(self) -> Optional[str]:
        r"""The unit that times were read in, :obj:`"s"`, :obj:`"ms"`, :obj:`"us"` or
        :obj:`"ns"`. It is :obj:`None` if they were dates, or if there are none."""
        unit: Optional[str] = self.manifest.get('time_unit')
        return unit

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f'{type(self).__name__}(num_users={counts["users"]}, '
            f'num_items={counts["items"]}, num_interactions={counts["interactions"]})'
        )


def _match(ids: Iterable[Any], integers: bool) -> tuple[Any, Any]:
    r"""Return the ids as an Arrow array, and in the form of the stored ids."""
    from pyg_irllrec.datasets._ingest.cell_location import CellLocation
    from pyg_irllrec.datasets._ingest.frame_table import FrameTable
    from pyg_irllrec.datasets._ingest.ids import match_ids
    from pyg_irllrec.datasets._ingest.to_array import to_array

    # Typed ids keep their type, which limits the number of digits.
    is_typed = hasattr(ids, 'dtype') or hasattr(ids, 'type')
    ids = ids if is_typed else list(ids)
    cell = CellLocation(FrameTable({'ids': ids}, "'ids'"), 'ids', 0)
    column = to_array(ids, cell)
    if hasattr(column, 'combine_chunks'):
        column = column.combine_chunks()
    return column, match_ids(column, cell, integers)
