from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from difflib import get_close_matches
from itertools import islice
from numbers import Integral
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.argument_checks import check_name, is_iterable
from pyg_irllrec.utils.clean_id import clean_id


class Nodes(Sequence[NodeId]):
    r"""The original ids and the titles of users or items: a sequence of ids, in the
    order of the rows of a model.

    Args:
        side (str): The kind of node for error messages, :obj:`"user"` or
            :obj:`"item"`.
        ids (sequence): One id per node, integers or strings. Ids are the same if they
            differ only in surrounding blanks or in type, as 7 and :obj:`"7"`.
        titles (sequence of str, optional): One title per node; :obj:`""` for a node
            without a title. (default: :obj:`None`, the ids)

    Raises:
        ValueError: If there is not one title per node, or an id occurs twice.

    Example:
        >>> from pyg_irllrec.serving import Nodes
        >>> nodes = Nodes('item', ['dune', 'emma', 7], ['Dune', 'Emma', ''])
        >>> nodes.rows(['emma', '7'], 'items')
        tensor([1, 2])
        >>> nodes[0], nodes.title(0)
        ('dune', 'Dune')
    """

    def __init__(
        self,
        side: str,
        ids: Sequence[NodeId],
        titles: Optional[Sequence[str]] = None,
    ) -> None:
        check_name('side', side)
        _check_list('ids', ids)
        if titles is not None:
            _check_list('titles', titles)
        if titles is not None and len(titles) != len(ids):
            raise ValueError(
                f"'titles' must have one title per {side}, {len(ids)}, got "
                f'{len(titles)}'
            )
        self.side = side
        self.ids = ids
        self._titles = titles
        self._rows = {clean_id(str(name)): row for row, name in enumerate(ids)}
        if len(self._rows) < len(ids):
            raise ValueError(
                f"'ids' must be distinct, got {len(ids) - len(self._rows)} duplicates. "
                "7, '7' and '7.0' are the same id"
            )

    def rows(self, ids: Iterable[NodeId], name: str) -> Tensor:
        r"""Return the rows of ids, in the order of the ids.

        Args:
            ids (iterable): The ids, integers or strings.
            name (str): The name of the argument with the ids, for error messages.

        Raises:
            ValueError: If an id is unknown.
        """
        if isinstance(ids, (str, Integral)):
            raise ValueError(
                f"'{name}' must be a list of ids, got the single id {ids!r}. Pass "
                f'[{ids!r}]'
            )
        if not is_iterable(ids):
            raise ValueError(
                f"'{name}' must be a list of ids, got {type(ids).__name__}"
            )
        each_id = ids.tolist() if isinstance(ids, Tensor) else ids
        return torch.tensor(
            [self.row(each, name) for each in each_id], dtype=torch.long
        )

    def row(self, one: NodeId, name: str) -> int:
        r"""Return the row of an id.

        Args:
            one (int or str): The id.
            name (str): The name of the argument with the id, for error messages.

        Raises:
            ValueError: If the id is unknown.
        """
        text = str(one.item() if isinstance(one, Tensor) and one.dim() == 0 else one)
        row = self._find(text)
        if row is None:
            raise ValueError(self._unknown(text, name))
        return row

    def title(self, row: int) -> str:
        r"""Return the title of a node, or its id if it has no title."""
        title = '' if self._titles is None else self._titles[row]
        return title or str(self.ids[row])

    def __contains__(self, name: object) -> bool:
        return self._find(str(name)) is not None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row):  # type: ignore[no-untyped-def]
        return self.ids[row]

    def _find(self, name: str) -> Optional[int]:
        row = self._rows.get(name)  # Most ids are clean already.
        return self._rows.get(clean_id(name)) if row is None else row

    def _unknown(self, given: str, name: str) -> str:
        if self._titles is not None and given in self._titles:
            row = list(self._titles).index(given)
            return (
                f"'{name}' must hold ids of {self.side}s, got the title "
                f'{given[:100]!r}. Its id is {str(self.ids[row])!r}'
            )
        some = list(islice(self._rows, 10_000))
        near = get_close_matches(given[:100], some, 1)
        hint = f': did you mean {near[0]!r}?' if near else ''
        if some and not near:
            hint = f' (of {len(self)}, such as {some[0]!r})'
        return (
            f"'{name}' must hold ids of {self.side}s, but there is no {self.side} "
            f'{given[:100]!r}{hint}'
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.side!r}, {len(self)} ids)'


def _check_list(name: str, value: object) -> None:
    if not is_iterable(value) or not isinstance(value, Sized):
        raise ValueError(f"'{name}' must be a list, got {type(value).__name__}")
