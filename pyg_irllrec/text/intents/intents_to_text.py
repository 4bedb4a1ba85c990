from __future__ import annotations

from collections.abc import Iterable

from pyg_irllrec.text.intents.intent_record import IntentRecord


def intents_to_text(records: Iterable[IntentRecord]) -> list[str]:
    r"""Joins the intents of each node to one text for :obj:`data[side].intent_text`,
    such as :obj:`"Calm evenings: picks quiet films. Nostalgia: ..."`. The text of a
    node without intents is :obj:`""`.

    Args:
        records (iterable of IntentRecord): The intents, one record per node.
    """
    return [
        ' '.join(f'{i.name}: {i.reason.rstrip(".")}.' for i in record.intents)
        for record in records
    ]
