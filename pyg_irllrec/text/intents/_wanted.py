from __future__ import annotations

from typing import Any, NamedTuple

from pyg_irllrec.text.intents._journal import JournalEntry
from pyg_irllrec.text.intents.intent_record import read_answer, read_profile


class Wanted(NamedTuple):
    r"""The requirements for answers."""

    what: str
    """:obj:`"intents"` or :obj:`"profiles"`."""
    max_intents: int
    """The largest number of intents."""

    def read(self, answer: str, num_texts: int) -> JournalEntry:
        r"""Read the intents or the profile in an answer.

        Raises:
            ValueError: If the answer is invalid.
        """
        if self.what == 'profiles':
            return JournalEntry((), profile=read_profile(answer))
        return JournalEntry(read_answer(answer, num_texts, self.max_intents))

    def describe(self) -> dict[str, Any]:
        r"""Return the settings that answers depend on."""
        if self.what == 'profiles':
            return {'what': self.what}
        return {'what': self.what, 'max_intents': self.max_intents}
