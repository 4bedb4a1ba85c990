from __future__ import annotations

from pyg_irllrec.text import Intent, IntentRecord, intents_to_text


def test_intents_in_words():
    intents = (Intent('Calm', 'likes quiet.', (1,)), Intent('Fun', 'laughs', (2,)))
    records = [
        IntentRecord('user', 1, 'ok', intents),
        IntentRecord('user', 2, 'no evidence', ()),
    ]
    assert intents_to_text(records) == ['Calm: likes quiet. Fun: laughs.', '']
