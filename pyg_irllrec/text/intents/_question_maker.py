from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.intents._wanted import Wanted
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.prompt import Prompt

_LIMITS = ('max_tokens', 'max_completion_tokens')


class Question(NamedTuple):
    r"""A question about a node."""

    key: bytes
    """The hash of everything that the answer depends on."""
    conversation: Conversation
    """The prompt with the node's texts."""
    num_texts: int
    """The number of texts."""
    again: bool = False
    """Whether the question failed in an earlier run."""


class QuestionMaker:
    r"""A maker of questions from evidence.

    Args:
        model (dict): The description of the model.
        wanted (Wanted): The requirements for answers.
        prompts (mapping, optional): The prompt of each node type.
    """

    def __init__(
        self,
        model: dict[str, Any],
        wanted: Wanted,
        prompts: Optional[Mapping[str, Prompt]],
    ) -> None:
        self.prompts: dict[str, Prompt] = {}  # The prompts in use, by node type.
        self._model = _without_limits(model)
        self._wanted = wanted
        self._given = {} if prompts is None else prompts
        self._packaged: dict[str, Prompt] = {}
        self._salts: dict[str, bytes] = {}

    def key(self, evidence: Evidence, sha256: str) -> Optional[bytes]:
        r"""Return the hash of a node's question, or :obj:`None` if the node has no
        texts.

        Args:
            evidence (Evidence): The node's texts.
            sha256 (str): The hash of the texts.

        Raises:
            ValueError: If nodes of one type have several roles.
        """
        side, prompt = evidence.side, self._prompt(evidence)
        if self.prompts.setdefault(side, prompt) is not prompt:
            raise ValueError(
                "'evidence' must have one role for each node type, got several roles "
                f"for '{side}'"
            )
        if side not in self._salts:
            shared = [self._model, prompt.describe(), self._wanted.describe()]
            text = json.dumps(shared, sort_keys=True)
            self._salts[side] = hashlib.sha256(text.encode()).digest()
        if not evidence.texts:
            return None
        return hashlib.sha256(self._salts[side] + sha256.encode()).digest()

    def question(self, key: bytes, evidence: Evidence, again: bool) -> Question:
        r"""Make the question about a node."""
        prompt = self._prompt(evidence)
        conversation = prompt.messages(evidence.texts, self._wanted.max_intents)
        return Question(key, conversation, len(evidence.texts), again)

    def _prompt(self, evidence: Evidence) -> Prompt:
        if evidence.side in self._given:
            return self._given[evidence.side]
        role = evidence.role or evidence.side
        if role not in self._packaged:
            self._packaged[role] = Prompt.packaged(role, self._wanted.what)
        return self._packaged[role]


def _without_limits(model: dict[str, Any]) -> dict[str, Any]:
    r"""Return the part of a description that complete answers depend on."""
    model = {k: v for k, v in model.items() if k not in ('library', *_LIMITS)}
    if isinstance(model.get('options'), dict):
        options = model['options'].items()
        model['options'] = {k: v for k, v in options if k not in _LIMITS}
    return model
