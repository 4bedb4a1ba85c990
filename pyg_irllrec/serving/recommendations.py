from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.optional import import_optional


class RankedItem(NamedTuple):
    r"""An item in a ranking."""

    item: NodeId
    title: str
    score: float


class Recommendations:
    r"""The best items of some users, by their original ids, best first.

    .. code-block:: python

        best = bundle.recommend(['anna', 'ben'], k=10)
        best['anna'][0].title
        best.to_pandas()  # user, rank, item, title, score

    Args:
        users (sequence): The ids of the users.
        items (Nodes): All items.
        item (torch.Tensor): The rows of the items, of shape :math:`(B, k)`; -1 where
            fewer were left.
        score (torch.Tensor): Their scores, likewise.
    """

    def __init__(
        self, users: Sequence[NodeId], items: Nodes, item: Tensor, score: Tensor
    ) -> None:
        self.users = users
        self.items = items
        self.item = item.cpu()
        self.score = score.cpu()

    def __len__(self) -> int:
        return len(self.users)

    def __iter__(self) -> Iterator[tuple[NodeId, list[RankedItem]]]:
        for row, user in enumerate(self.users):
            yield user, self._ranked(row)

    def to_pandas(self) -> Any:
        r"""A :class:`pandas.DataFrame` with the columns :obj:`user`, :obj:`rank` (from
        1), :obj:`item`, :obj:`title` and :obj:`score`."""
        pandas = import_optional('pandas', 'to_pandas()', 'data')
        return pandas.DataFrame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        raise NotImplementedError

    def _ranked(self, row: int) -> list[RankedItem]:
        return [
            RankedItem(self.items[item], self.items.title(item), score)
            for item, score in zip(self.item[row].tolist(), self.score[row].tolist())
            if item >= 0
        ]
