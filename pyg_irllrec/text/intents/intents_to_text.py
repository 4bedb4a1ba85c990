from __future__ import annotations

from collections.abc import Iterable

from pyg_irllrec.text.intents.intent_record import IntentRecord


def intents_to_text(records: Iterable[IntentRecord]) -> list[str]:
    r"""A text a node for :obj:`data[side].intent_text`, such as :obj:`"Calm evenings:
    picks quiet films. Nostalgia: ..."`, and :obj:`""` for a node without intents.

    Args:
        records (iterable of IntentRecord): The intents, node by node.
    """
    return [
        ' '.join(f'{i.name}: {i.reason.rstrip(".")}.' for i in record.intents)
        for record in records
    ]
