"""Evidence, and fake chat models."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.prompt import read_evidence


def some_evidence(count: int, side: str = 'user') -> list[Evidence]:
    return [
        Evidence(side, k, (f'{side} text {k}', f'more {k}'), ((side, k), (side, k)))
        for k in range(count)
    ]


def answer(
    name: str, reason: str = 'it says so', evidence: Sequence[int] = (1,)
) -> str:
    intent = {'name': name, 'reason': reason, 'evidence': list(evidence)}
    return json.dumps({'steps': ['one', 'two'], 'intents': [intent]})


def profile_answer(profile: str) -> str:
    return json.dumps({'reasoning': 'what they share', 'profile': profile})


class FakeModel:
    """Answer each conversation with a function."""

    def __init__(
        self, reply: Callable[[Conversation], str], name: str = 'fake'
    ) -> None:
        self.reply = reply
        self.name = name
        self.conversations: list[Conversation] = []

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        self.conversations += conversations
        return [self.reply(conversation) for conversation in conversations]

    def describe(self) -> dict[str, Any]:
        return {'model': self.name, 'library': f'fake {id(self)}'}


def first_text(conversation: Conversation) -> str:
    return read_evidence(conversation[1]['content'])[0]


def honest(name: str = 'fake') -> FakeModel:
    """A model that answers with one intent, named after the first text."""
    return FakeModel(lambda conversation: answer(first_text(conversation)), name)


def recorded(journal: Path) -> set[str]:
    """The names of the intents in a journal."""
    if not journal.is_file():
        return set()
    db = sqlite3.connect(journal, timeout=60)
    try:
        rows = db.execute('SELECT content FROM outcomes').fetchall()
    except sqlite3.OperationalError:  # Killed before the table was created.
        rows = []
    finally:
        db.close()
    return {intent[0] for (row,) in rows for intent in json.loads(row)}
