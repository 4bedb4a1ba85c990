from __future__ import annotations

from pyg_irllrec.text import IntentExtractor, Message
from tests.text.chat_data import honest, some_evidence


def test_a_function_with_a_description_is_a_chat_model(tmp_path):
    inner = honest()

    def model(conversations):
        return inner(conversations)

    model.describe = inner.describe
    extract = IntentExtractor(model, progress=False)
    assert extract(some_evidence(2), tmp_path / 'intents.jsonl')['counts']['ok'] == 2
    roles = [[message['role'] for message in each] for each in inner.conversations]
    assert roles == [['system', 'user']] * 2


def test_messages_have_a_role_and_a_content():
    assert set(Message.__annotations__) == {'role', 'content'}
