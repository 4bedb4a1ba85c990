from __future__ import annotations

from collections.abc import Iterable

from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.utils.argument_checks import each_of


def intents_to_text(records: Iterable[IntentRecord]) -> list[str]:
    r"""Join the intents of each node to one text, for :obj:`data[side].intent_text`. An
    example is :obj:`"Calm evenings: picks quiet films. Nostalgia: ..."`. The text of a
    node without intents is empty.

    Args:
        records (iterable of IntentRecord): The intents, one record per node.

    Raises:
        ValueError: If a value is not an :class:`~pyg_irllrec.text.IntentRecord`.

    Example:
        >>> from pyg_irllrec.text import Intent, IntentRecord, intents_to_text
        >>> calm = Intent('Calm evenings', 'picks quiet films', evidence=(1,))
        >>> records = [IntentRecord('user', 'ann', 'ok', (calm,))]
        >>> intents_to_text(records)
        ['Calm evenings: picks quiet films.']
    """
    return [
        ' '.join(f'{i.name}: {i.reason.rstrip(".")}.' for i in record.intents)
        for record in each_of('records', records, IntentRecord)
    ]
