from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from pyg_irllrec.nn import Recommendation
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.files import WriteError, atomic_write
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
    in a file that ends in :obj:`.json`, what they were made from and the table's
    :obj:`sha256`. Without that file, as after a crash, the table's origin is unknown.

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
    origin = path.with_suffix('.json')
    try:
        origin.unlink(missing_ok=True)  # Else it would lie beside another table.
    except OSError as error:
        raise WriteError(f'{origin} cannot be replaced: {error.strerror}') from error
    with atomic_write(path) as file:
        # Whatever is text is quoted: an id may hold a new line.
        table = csv.writer(file, lineterminator='\n', quoting=csv.QUOTE_NONNUMERIC)
        table.writerow(['user', 'item', 'rank', 'score'])
        for user, items, scores in zip(users.tolist(), *map(Tensor.tolist, best)):
            for rank, (item, score) in enumerate(zip(items, scores), start=1):
                if item >= 0:  # Fewer items than asked for were left.
                    ids = (user_ids[user], item_ids[item])
                    table.writerow([*map(spreadsheet_cell, ids), rank, round(score, 6)])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with atomic_write(origin) as file:
        json.dump({**made_from, 'sha256': digest}, file, indent=2)
        file.write('\n')
