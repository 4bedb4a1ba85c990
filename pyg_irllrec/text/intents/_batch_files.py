r"""Read and write batch files of OpenAI-compatible providers, with one request or
answer per line."""

from __future__ import annotations

import codecs
import json
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents._ask import fail, judge
from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents._question_list import QuestionList
from pyg_irllrec.text.intents._question_maker import Question
from pyg_irllrec.text.intents._wanted import Wanted
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.printable import printable

URL = '/v1/chat/completions'
_KEY = re.compile('[0-9a-f]{64}')  # Providers allow 64 characters.
_MAX_SHOWN = 3


def check_free(path: Path) -> None:
    r"""Raise a :class:`ValueError` if there are request files with this name."""
    if path.suffix != '.jsonl':
        raise ValueError(f"'requests' must end in .jsonl, got {path}")
    for found in sorted(path.parent.glob(f'{path.stem}-*.jsonl'))[:1]:
        raise ValueError(
            f"'requests' must be a new name, got {path}, but {found.name} exists: "
            'send it and read its answers, or remove it'
        )


def write_requests(
    questions: Iterator[Question],
    model: OpenAIChat,
    path: Path,
    max_requests: int,
    max_bytes: int,
) -> list[Path]:
    r"""Write requests to :obj:`name-1.jsonl` and so on. Return the paths."""
    lines = (_request(question, model) for question in questions)
    line = next(lines, None)
    paths: list[Path] = []
    while line is not None:
        paths.append(path.with_name(f'{path.stem}-{len(paths) + 1}.jsonl'))
        with atomic_write(paths[-1], 'wb') as file:
            count = size = 0
            while line is not None and count < max_requests:
                size += len(line)
                if size > max_bytes:
                    break
                file.write(line)
                count += 1
                line = next(lines, None)
            if count == 0:
                raise ValueError(
                    f"'max_bytes' must be at least the size of a request, got "
                    f'{max_bytes} and a request of {size} bytes'
                )
    return paths


def _request(question: Question, model: OpenAIChat) -> bytes:
    request = {
        'custom_id': question.key.hex(),
        'method': 'POST',
        'url': URL,
        'body': model.request(question.conversation),
    }
    return json.dumps(request).encode() + b'\n'


def check_answers(
    paths: Sequence[Path], model: OpenAIChat, listed: QuestionList
) -> None:
    r"""Raise a :class:`ValueError` unless each line answers a question of the list."""
    for path in paths:
        for number, line in _lines(path):
            try:
                name = _parse(line).get('custom_id')
                known = isinstance(name, str) and _KEY.fullmatch(name) is not None
                if not known or listed.num_texts(bytes.fromhex(str(name))) is None:
                    raise ValueError(
                        f'custom_id {name!r:.80} does not belong to a question about '
                        'this evidence: the requests were written for different texts, '
                        'prompts or options, or for a model other than '
                        f'{model.model!r} at {model.base_url}'
                    )
            except ValueError as error:
                raise ValueError(
                    f'{printable(path)}, line {number}, cannot be read: '
                    f'{printable(error)}'
                ) from None


def read_answers(
    paths: Iterable[Path],
    model: OpenAIChat,
    wanted: Wanted,
    listed: QuestionList,
    entries: Journal,
) -> None:
    r"""Store the answers in files that were checked, each once. Warn about failed
    answers, and about answers to a question that has a different valid answer."""
    reasons: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for path in paths:
        for number, line in _lines(path):
            answer = parse_json_object(line)
            key = bytes.fromhex(answer['custom_id'])
            found = _read_entry(answer, model, wanted, listed.num_texts(key) or 0)
            entry = _with_id(found, answer)
            known = entries.read([key]).get(key)
            # A valid answer is kept. An equal failure is the same line, read again.
            if known is None or (known.failed and known.reason != entry.reason):
                entries.write(key, entry)
            if entry.failed and (known is None or known.failed):
                reasons[found.reason] += 1
            elif known is not None and not known.failed and _differs(known, entry):
                others[f'{path.name}, line {number}'] += 1
    _warn(reasons, 'answers that failed')
    _warn(others, 'answers that differ from an earlier answer, which is kept')


def _warn(found: Counter[str], what: str) -> None:
    if found:
        shown = [
            f'{count} x {printable(name)}' if count > 1 else printable(name)
            for name, count in found.most_common(_MAX_SHOWN)
        ]
        shown += ['...'] * (len(found) > _MAX_SHOWN)
        warnings.warn(f'{what}: {found.total()} ({"; ".join(shown)})', stacklevel=4)


def _differs(known: JournalEntry, entry: JournalEntry) -> bool:
    content = (entry.intents, entry.profile)
    return not entry.failed and content != (known.intents, known.profile)


def _read_entry(
    answer: dict[str, Any], model: OpenAIChat, wanted: Wanted, num_texts: int
) -> JournalEntry:
    try:
        return judge(model.read(_body(answer)), num_texts, wanted)
    except ChatError as error:
        return fail(error)


def _with_id(entry: JournalEntry, answer: dict[str, Any]) -> JournalEntry:
    if entry.failed and isinstance(answer.get('id'), str):
        return entry._replace(reason=f'{entry.reason} ({answer["id"][:100]})')
    return entry


def _body(answer: dict[str, Any]) -> dict[str, Any]:
    r"""Return the chat completion, or the error in its place."""
    response = answer.get('response')
    if not isinstance(response, dict):
        return {'error': answer.get('error') or 'the provider gave no answer'}
    body = response.get('body', response)
    if not isinstance(body, dict):
        code = response.get('status_code')
        return {'error': {'code': code, 'message': json.dumps(body)[:500]}}
    return body


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with open(path, 'rb') as file:
        for number, line in enumerate(file, start=1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if line.strip():
                yield number, line


def _parse(line: bytes) -> dict[str, Any]:
    try:
        return parse_json_object(line)
    except ValueError as error:
        if line.endswith(b'\n'):
            raise
        raise ValueError(
            f'the file is cut off within its last line: download it again ({error})'
        ) from None
