from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from pyg_irllrec.nn import Recommendation
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.spreadsheet_cell import spreadsheet_cell


def write_recommendations(
    path: Path,
    users: Tensor,
    best: Recommendation,
    user_ids: Sequence[NodeId],
    item_ids: Sequence[NodeId],
    made_from: Mapping[str, Any],
) -> None:
    r"""Writes recommendations as a table of user, item, rank and score, and beside it,
    in a file that ends in :obj:`.json`, what they were made from.

    An id that a spreadsheet could run as a formula gets an apostrophe in front, see
    :func:`~pyg_irllrec.utils.spreadsheet_cell.spreadsheet_cell`.

    Args:
        path (pathlib.Path): The table, a CSV file.
        users (torch.Tensor): The users, of shape :math:`(B)`.
        best (Recommendation): Their items, of shape :math:`(B, k)`.
        user_ids (sequence): The original id of each user of the graph.
        item_ids (sequence): That of each item.
        made_from (dict): What is kept beside the table, such as the
            :func:`~pyg_irllrec.training.fingerprint` of the run.

    Raises:
        OSError: If a file cannot be written.
    """
    with atomic_write(path.with_suffix('.json')) as file:
        json.dump(dict(made_from), file, indent=2)
        file.write('\n')
    with atomic_write(path) as file:
        # Whatever is text is quoted: an id may hold a new line.
        table = csv.writer(file, lineterminator='\n', quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(['user', 'item', 'rank', 'score'])
        for user, items, scores in zip(users.tolist(), *map(Tensor.tolist, best)):
            for rank, (item, score) in enumerate(zip(items, scores), start=1):
                if item >= 0:  # Fewer items than asked for were left.
                    ids = (user_ids[user], item_ids[item])
                    table.writerow([*map(spreadsheet_cell, ids), rank, round(score, 6)])
