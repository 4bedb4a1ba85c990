from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

from torch import Tensor

from pyg_irllrec.serving._arrow_table import arrow_schema, to_arrow
from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.clean_id import clean_id
from pyg_irllrec.utils.optional import import_optional
from pyg_irllrec.utils.printable import printable

_SHOWN_ROWS = 10
_SHOWN_WIDTH = 40


class Recommendations:
    r"""The best items for each user, best first, by original ids.

    Args:
        users (sequence): The ids of the users, which may repeat.
        items (Nodes): The ids and titles of all items.
        item (torch.Tensor): The rows of the recommended items, of shape
            :math:`(B, k)`; -1 if fewer items were left.
        score (torch.Tensor): The scores of the items, of shape :math:`(B, k)`.

    Example:
        >>> import torch
        >>> from pyg_irllrec.serving import Nodes, Recommendations
        >>> items = Nodes('item', [11, 12, 13], ['Dune', 'Emma', 'Ulysses'])
        >>> item, score = torch.tensor([[2, 0]]), torch.tensor([[1.5, 0.25]])
        >>> best = Recommendations(['anna'], items, item, score)
        >>> best['anna'][0].title
        'Ulysses'
        >>> best
        user  rank  title    score
        anna  1     Ulysses  1.5
        anna  2     Dune     0.25
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

    def __getitem__(self, user: NodeId) -> list[RankedItem]:
        r"""Return the items of a user, best first; fewer than :math:`k` if no more were
        left.

        Raises:
            ValueError: If the user is not in :obj:`users`.
        """
        row = self._rows.get(clean_id(str(user)))
        if row is None:
            raise ValueError(
                f"'user' must be one of the {len(self)} users of these "
                f'recommendations, got {user!r}'
            )
        return self._ranked(row)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {clean_id(str(user)): row for row, user in enumerate(self.users)}

    def to_pandas(self) -> Any:
        r"""Return a :class:`pandas.DataFrame` with the columns :obj:`user`, :obj:`rank`
        (from 1), :obj:`item`, :obj:`title` and :obj:`score`.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = import_optional('pandas', 'to_pandas()', 'data')
        return pandas.DataFrame(self.to_columns())

    def to_arrow(self) -> Any:
        r"""Return a :class:`pyarrow.Table` with the columns of :meth:`to_pandas`.

        Raises:
            ImportError: If pyarrow is not installed.
        """
        pyarrow = import_optional('pyarrow', 'to_arrow()', 'data')
        schema = arrow_schema(pyarrow, self.users, self.items.ids)
        return to_arrow(pyarrow, self.to_columns(), schema)

    def to_columns(self) -> dict[str, list[Any]]:
        r"""Return the columns of :meth:`to_pandas` as lists."""
        row, place = (self.item >= 0).nonzero(as_tuple=True)
        items = self.item[row, place].tolist()
        return {
            'user': [self.users[each] for each in row.tolist()],
            'rank': (place + 1).tolist(),
            'item': [self.items[each] for each in items],
            'title': [self.items.title(each) for each in items],
            'score': self.score[row, place].tolist(),
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        r"""Return one dictionary per user for :func:`json.dumps`, with :obj:`user` and
        :obj:`items`. Each item has :obj:`rank` (from 1), :obj:`item`, :obj:`title` and
        :obj:`score`."""
        return [{'user': user, 'items': ranking_dicts(ranked)} for user, ranked in self]

    def _ranked(self, row: int) -> list[RankedItem]:
        return [
            RankedItem(self.items[item], self.items.title(item), score)
            for item, score in zip(self.item[row].tolist(), self.score[row].tolist())
            if item >= 0
        ]

    def __repr__(self) -> str:
        shown = [
            (str(user), str(rank), each.title, f'{each.score:.4g}')
            for user, ranked in islice(self, _SHOWN_ROWS)
            for rank, each in enumerate(ranked, start=1)
        ]
        rows = [('user', 'rank', 'title', 'score'), *shown[:_SHOWN_ROWS]]
        cells = [[_short(printable(cell)) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = [
            '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in cells
        ]
        rest = int((self.item >= 0).sum()) - (len(rows) - 1)
        if rest > 0:
            lines.append(f'... and {rest} more')
        return '\n'.join(lines)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_WIDTH else f'{text[: _SHOWN_WIDTH - 3]}...'
