from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

from pyg_irllrec.text._one_line import one_line
from pyg_irllrec.text.chat.chat_model import Conversation

_FENCE = ('<evidence>', '</evidence>')
_FOLDER = Path(__file__).parent / 'prompts'
_FORM = re.compile(
    r'\s*name:(?P<name>[^\n]+)\nversion:(?P<version>[^\n]+)\n'
    r'\s*# system\n(?P<system>.*)\n# user\n(?P<user>.*)',
    re.DOTALL,
)


class Prompt:
    r"""A prompt from a file. It looks like

    .. code-block:: none

        name: user
        version: 1

        # system

        Whatever goes into the system message.

        # user

        {evidence}

        Find up to {max_intents} intents ...

    :obj:`{evidence}` has to be there once: numbered texts go there, fenced by
    :obj:`<evidence>` and :obj:`</evidence>`, each a JSON string in a line in which
    :obj:`<` and :obj:`>` are escaped, so that no text can end the fence. What the
    answer has to look like, see :class:`~pyg_irllrec.text.IntentRecord`.

    Args:
        path (str or Path): The file. :meth:`packaged` opens those that come along.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not such a file.
    """

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'{path} is not there: it should hold a prompt')
        text = path.read_text(encoding='utf-8')
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError(
                f"{path} must begin with lines 'name: ...' and 'version: ...', then "
                "have parts '# system' and '# user'"
            )
        parts = {key: value.strip() for key, value in form.groupdict().items()}
        if parts['user'].count('{evidence}') != 1 or '{evidence}' in parts['system']:
            raise ValueError(f"{path} must hold {{evidence}} once, under '# user'")
        if any(mark in parts['user'] for mark in _FENCE):
            raise ValueError(
                f"{path} must not hold {_FENCE[0]} under '# user': it is put there"
            )
        self.name = parts['name']
        self.version = parts['version']
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._system = parts['system']
        self._user = parts['user']

    @classmethod
    def packaged(cls, side: str) -> Prompt:
        r"""The prompt for users (:obj:`"user"`) or for items (:obj:`"item"`).

        Raises:
            ValueError: If there is none for others.
        """
        names = sorted(path.stem for path in _FOLDER.glob('*.md'))
        if side not in names:
            raise ValueError(
                f"'prompts' must hold a prompt for {side!r}: there are ready ones for "
                f'{", ".join(names)}'
            )
        return cls(_FOLDER / f'{side}.md')

    def messages(self, texts: Sequence[str], max_intents: int) -> Conversation:
        r"""The conversation that asks about these texts."""
        question = self._user.replace('{max_intents}', str(max_intents))
        before, after = question.split('{evidence}')
        system = self._system.replace('{max_intents}', str(max_intents))
        return [
            {'role': 'system', 'content': system},
            {'role': 'user', 'content': before + _fenced(texts) + after},
        ]

    def describe(self) -> dict[str, Any]:
        r"""Which prompt it is, for a record of what was made with it."""
        return {'name': self.name, 'version': self.version, 'sha256': self.sha256}

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r}, version={self.version!r})'


def read_evidence(message: str) -> list[str]:
    r"""The texts that a message of :meth:`Prompt.messages` asks about.

    Raises:
        ValueError: If it asks about none.
    """
    _, opened, rest = message.partition(f'{_FENCE[0]}\n')
    inside, closed, _ = rest.partition(_FENCE[1])
    if not opened or not closed:
        raise ValueError("'message' must hold evidence between fences, got none")
    return [json.loads(line.split(' ', 1)[1]) for line in inside.splitlines()]


def _fenced(texts: Sequence[str]) -> str:
    lines = [f'[{number}] {_escaped(text)}' for number, text in enumerate(texts, 1)]
    return '\n'.join([_FENCE[0], *lines, _FENCE[1]])


def _escaped(text: str) -> str:
    quoted = json.dumps(one_line(text), ensure_ascii=False)
    return quoted.replace('<', '\\u003c').replace('>', '\\u003e')
