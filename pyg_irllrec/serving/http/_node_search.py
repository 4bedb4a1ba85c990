from __future__ import annotations

from typing import Any

import numpy as np

from pyg_irllrec.serving.nodes import Nodes


class NodeSearch:
    r"""Case-insensitive search for nodes by a part of their id or title.

    All ids and titles are kept in one string, because searching it is fast.

    Args:
        nodes (Nodes): The nodes.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        lines = [self._line(row).casefold() for row in range(len(nodes))]
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        self._starts = np.concatenate([[0], (lengths + 1).cumsum()])
        self._text = '\n'.join(['', *lines, ''])

    def find(self, query: str, limit: int) -> list[dict[str, Any]]:
        r"""Return the first matches as dictionaries of :obj:`user` or :obj:`item`, the
        id, and :obj:`title`. Ids that start with the query come first."""
        query = ' '.join(query.split()).casefold()
        rows = self._rows(f'\n{query}', limit)
        if len(rows) < limit and query:
            rows += self._rows(query, 2 * limit)
        return [
            {self._nodes.side: self._nodes[row], 'title': self._nodes.title(row)}
            for row in list(dict.fromkeys(rows))[:limit]
        ]

    def _rows(self, part: str, limit: int) -> list[int]:
        rows: list[int] = []
        at = self._text.find(part)
        while at >= 0 and len(rows) < limit:
            # A match may start at the line break before its line.
            row = int(np.searchsorted(self._starts, at, 'right')) - 1
            if row >= len(self._nodes):
                break
            rows.append(row)
            at = self._text.find(part, int(self._starts[row + 1]))
        return rows

    def _line(self, row: int) -> str:
        name, title = str(self._nodes[row]), self._nodes.title(row)
        return ' '.join((name if title == name else f'{name} {title}').split())
