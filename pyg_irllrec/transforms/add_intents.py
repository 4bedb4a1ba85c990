from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Optional, Union

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.text.intent_file import load_intents
from pyg_irllrec.text.intent_record import IntentRecord
from pyg_irllrec.text.intents_to_text import intents_to_text
from pyg_irllrec.transforms._interactions import check_hetero
from pyg_irllrec.transforms._node_data import SIDES, check_sides
from pyg_irllrec.utils.checks import check_choice


@functional_transform('irllrec_add_intents')
class AddIntents(BaseTransform):
    r"""Puts intents in words on users and items, by their original ids (functional
    name: :obj:`irllrec_add_intents`): :obj:`data[side].intent_text`, a text a node.
    :class:`~pyg_irllrec.transforms.EncodeText` with :obj:`source="intent_text"` and
    :obj:`target="intent"` makes vectors of them.

    A node without evidence gets :obj:`""`.

    Args:
        path (str or Path): The file that
            :class:`~pyg_irllrec.text.IntentExtractor` has written, :obj:`.jsonl`; its
            manifest has to lie beside it. Both are read when the transform runs.
        target (str): The name of the texts. (default: :obj:`"intent_text"`)
        missing (str): For nodes that the file does not hold, or that failed, an
            :obj:`"error"`, or a :obj:`"blank"`. (default: :obj:`"error"`)
        expect (dict, optional): What the manifest must say, such as
            :obj:`{'evidence_sha256': evidence_sha256(evidence)}`, which ties intents
            to this split. (default: :obj:`None`)
        sides (sequence of str): The types of nodes.
            (default: :obj:`("user", "item")`)

    Raises:
        FileNotFoundError: If the file or its manifest is not there.
        ValueError: If they do not belong together, say something else than
            :obj:`expect`, or have no intents for a node.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        target: str = 'intent_text',
        missing: str = 'error',
        expect: Optional[dict[str, Any]] = None,
        sides: Sequence[str] = SIDES,
    ) -> None:
        check_choice('missing', missing, ('error', 'blank'))
        self.path = path
        self.target = target
        self.missing = missing
        self.expect = expect
        self.sides = check_sides(sides)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with intents in words."""
        check_hetero(data, type(self).__name__)
        known = {
            (r.side, r.id): r for r in load_intents(self.path, self.expect).records
        }
        texts = {side: self._find(data, side, known) for side in self.sides}
        for side, rows in texts.items():
            data[side][self.target] = rows
        return data

    def _find(
        self,
        data: HeteroData,
        side: str,
        known: dict[tuple[str, Union[int, str]], IntentRecord],
    ) -> list[str]:
        ids = _read_ids(data, side)
        blank = IntentRecord(side, '', 'missing', ())
        records = [known.get((side, name), blank) for name in ids]
        absent = [
            name
            for name, record in zip(ids, records)
            if record.status not in ('ok', 'no evidence')
        ]
        if absent and self.missing == 'error':
            names = ', '.join(map(repr, absent[:5]))
            raise ValueError(
                f"{self.path} must hold intents of each node of '{side}', "
                f'{len(absent)} of {len(records)} are missing or failed ({names}'
                f'{", ..." if len(absent) > 5 else ""}): ask again, or pass them over '
                "with missing='blank'"
            )
        return intents_to_text(records)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({str(self.path)!r}, target={self.target!r}, '
            f'missing={self.missing!r})'
        )


def _read_ids(data: HeteroData, side: str) -> list[Union[int, str]]:
    if side not in data.node_types or data[side].num_nodes is None:
        raise ValueError(f"data['{side}'].num_nodes must be set")
    if 'id' not in data[side]:
        return list(range(data[side].num_nodes))
    ids = data[side].id
    return ids.tolist() if isinstance(ids, Tensor) else list(ids)
