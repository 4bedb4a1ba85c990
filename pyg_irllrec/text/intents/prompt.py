from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, each_of
from pyg_irllrec.utils.checks import check_choice, check_count

WRITTEN = ('intents', 'profiles')
"""The kinds of texts that a model can write about a node."""

_FENCE = ('<evidence>', '</evidence>')
_FOLDER = Path(__file__).parent / 'prompts'
_FORM = re.compile(
    r'\s*name:(?P<name>[^\n]+)\nversion:(?P<version>[^\n]+)\n'
    r'\s*# system\n(?P<system>.*)\n# user\n(?P<user>.*)',
    re.DOTALL,
)


class Prompt:
    r"""A prompt, read from a file of the form

    .. code-block:: none

        name: user
        version: 1

        # system

        The system message.

        # user

        {evidence}

        Find up to {max_intents} intents ...

    :obj:`{evidence}` must occur once. It is replaced by the numbered texts, one per
    line, between the fences :obj:`<evidence>` and :obj:`</evidence>`. Each text is a
    JSON string in which :obj:`<` and :obj:`>` are escaped, so that no text can close
    the fence. The prompt must ask for answers in the format of the packaged prompts.
    Prompts for profiles do not need :obj:`{max_intents}`.

    Args:
        path (str or Path): The file. Use :meth:`packaged` for the prompts of this
            package.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file does not have this form.

    Example:
        >>> from pyg_irllrec.text import Prompt
        >>> prompt = Prompt.packaged('user')
        >>> system, question = prompt.messages(['A calm film'], max_intents=3)
        >>> print(question['content'].splitlines()[3])
        [1] "A calm film"
    """

    def __init__(self, path: PathLike) -> None:
        path = as_path('path', path)
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist: pass the file of a prompt')
        try:
            text = path.read_text(encoding='utf-8')
        except UnicodeDecodeError as error:
            raise ValueError(f'{path} must be UTF-8: {error}') from None
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError(
                f"{path} must begin with the lines 'name: ...' and 'version: ...', "
                "followed by the sections '# system' and '# user'"
            )
        parts = {key: value.strip() for key, value in form.groupdict().items()}
        if parts['user'].count('{evidence}') != 1 or '{evidence}' in parts['system']:
            raise ValueError(f"{path} must contain {{evidence}} once, under '# user'")
        if any(mark in parts['user'] for mark in _FENCE):
            raise ValueError(
                f"{path} must not contain {_FENCE[0]} under '# user': fences are added "
                'around {evidence}'
            )
        self.name = parts['name']
        self.version = parts['version']
        self.sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._system = parts['system']
        self._user = parts['user']

    @classmethod
    def packaged(cls, side: str, what: str = 'intents') -> Prompt:
        r"""Open a prompt of this package.

        Args:
            side (str): The nodes that it asks about: users (:obj:`"user"`) or items
                (:obj:`"item"`).
            what (str): The texts that it asks for: :obj:`"intents"` or
                :obj:`"profiles"`. (default: :obj:`"intents"`)

        Raises:
            ValueError: If this package has no such prompt.
        """
        check_choice('what', what, WRITTEN)
        names = sorted(path.stem for path in (_FOLDER / what).glob('*.md'))
        if side not in names:
            raise ValueError(
                f"'prompts' must have a prompt for {side!r}: the package only has "
                f'prompts for {", ".join(names)}'
            )
        return cls(_FOLDER / what / f'{side}.md')

    def messages(self, texts: Sequence[str], max_intents: int) -> Conversation:
        r"""Return the conversation that asks about some texts.

        Args:
            texts (sequence of str): The texts.
            max_intents (int): The largest number of intents.

        Raises:
            ValueError: If an argument has the wrong type.
        """
        texts = list(each_of('texts', texts, str))
        check_count('max_intents', max_intents)
        question = self._user.replace('{max_intents}', str(max_intents))
        before, after = question.split('{evidence}')
        system = self._system.replace('{max_intents}', str(max_intents))
        return [
            {'role': 'system', 'content': system},
            {'role': 'user', 'content': before + _fence(texts) + after},
        ]

    def describe(self) -> dict[str, Any]:
        r"""Return the name, version and hash of the prompt, to be saved with its
        answers."""
        return {'name': self.name, 'version': self.version, 'sha256': self.sha256}

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r}, version={self.version!r})'


def read_evidence(message: str) -> list[str]:
    r"""Read the texts from a message of :meth:`Prompt.messages`.

    Raises:
        ValueError: If the message contains no evidence.
    """
    _, opened, rest = message.partition(f'{_FENCE[0]}\n')
    inside, closed, _ = rest.partition(_FENCE[1])
    if not opened or not closed:
        raise ValueError("'message' must have evidence between fences, got none")
    return [json.loads(line.split(' ', 1)[1]) for line in inside.splitlines()]


def _fence(texts: Sequence[str]) -> str:
    lines = [f'[{number}] {_escape(text)}' for number, text in enumerate(texts, 1)]
    return '\n'.join([_FENCE[0], *lines, _FENCE[1]])


def _escape(text: str) -> str:
    quoted = json.dumps(to_single_line(text), ensure_ascii=False)
    return quoted.replace('<', '\\u003c').replace('>', '\\u003e')
