from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.chat._answer_text import (
    END_THOUGHTS,
    FoundObject,
    UnfinishedThoughts,
    find_objects,
    means_answer,
    means_thought,
    strip_thoughts,
)
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.optional import import_optional

STATUSES = ('ok', 'no evidence', 'failed')
_KINDS = {int: 'an integer', str: 'a string', list: 'a list'}
_INTENT: dict[str, type] = {'name': str, 'reason': str, 'evidence': list}
_RECORD: dict[str, type] = {
    'side': str,
    'id': object,
    'status': str,
    'intents': list,
    'reason': str,
    'sources': list,
    'evidence_sha256': str,
    'profile': str,
}
_MAX_LABEL_WORDS = 3
_PLACEHOLDERS = (
    *('a few words', 'one sentence', 'one sentence that says why', 'the profile'),
)


class Intent(NamedTuple):
    r"""An intent: why a user acts, or why an item is chosen.

    Example:
        >>> from pyg_irllrec.text import Intent
        >>> Intent('Calm evenings', 'picks quiet films', evidence=(1, 3)).name
        'Calm evenings'
    """

    name: str
    """The name, in a few words."""
    reason: str
    """The reason, in one sentence."""
    evidence: tuple[int, ...]
    """The numbers (from 1) of the texts that support it."""


@dataclass(frozen=True)
class IntentRecord:
    r"""The intents or the profile that a model wrote about a node.

    Args:
        side (str): The node type, such as :obj:`"user"`.
        id (int or str): The original id of the node.
        status (str): :obj:`"ok"`, :obj:`"failed"`, or :obj:`"no evidence"` if the node
            has no texts and no model was asked.
        intents (tuple of Intent): The intents. If the status is :obj:`"ok"`, there is
            at least one intent, or a profile.
        reason (str): The reason of a failure. (default: :obj:`""`)
        sources (tuple): For each text of the evidence, the node that it belongs to, as
            a pair of node type and original id. (default: :obj:`()`)
        evidence_sha256 (str): The hash of the evidence. (default: :obj:`""`)
        profile (str): The profile. (default: :obj:`""`)

    Example:
        >>> from pyg_irllrec.text import Intent, IntentRecord
        >>> calm = Intent('Calm evenings', 'picks quiet films', evidence=(1,))
        >>> record = IntentRecord('user', 'ann', 'ok', (calm,))
        >>> IntentRecord.from_dict(record.to_dict()) == record
        True
    """

    side: str
    id: NodeId
    status: str
    intents: tuple[Intent, ...]
    reason: str = ''
    sources: tuple[tuple[str, NodeId], ...] = ()
    evidence_sha256: str = ''
    profile: str = ''

    def to_dict(self) -> dict[str, Any]:
        r"""Return the record as a dictionary for JSON."""
        return {
            'side': self.side,
            'id': self.id,
            'status': self.status,
            'intents': [intent._asdict() for intent in self.intents],
            **({'reason': self.reason} if self.reason else {}),
            'sources': self.sources,
            'evidence_sha256': self.evidence_sha256,
            **({'profile': self.profile} if self.profile else {}),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> IntentRecord:
        r"""Make a record from the dictionary of :meth:`to_dict`.

        Raises:
            ValueError: If a field is missing, unknown or invalid.
        """
        _check_names('a record', value, _RECORD, ('reason', 'profile'))
        _check_type('id', value['id'], (int, str))
        if value['status'] not in STATUSES:
            raise ValueError(
                f"'status' must be one of {', '.join(map(repr, STATUSES))}, got "
                f'{value["status"]!r:.80}'
            )
        intents = tuple(_to_intent(each) for each in value['intents'])
        written = bool(intents) + bool(value.get('profile'))
        if value['status'] == 'ok' and written != 1:
            raise ValueError(
                "either 'intents' or 'profile' must be filled in if 'status' is 'ok', "
                f'got {"both" if written else "neither"}'
            )
        if value['status'] != 'ok' and written:
            raise ValueError(
                "'intents' and 'profile' must be empty unless 'status' is 'ok'"
            )
        sources = tuple(_to_source(each) for each in value['sources'])
        cited = [number for intent in intents for number in intent.evidence]
        if sources and max(cited, default=0) > len(sources):
            raise ValueError(
                f"'evidence' must hold numbers from 1 to {len(sources)}, one per "
                f'source, got {max(cited)}'
            )
        return cls(**value | {'intents': intents, 'sources': sources})


def _to_intent(value: Any) -> Intent:
    _check_names("'intents'", value, _INTENT)
    for number in value['evidence']:
        _check_type('evidence', number, (int,))
        if number < 1:
            raise ValueError(f"'evidence' must hold numbers from 1, got {number}")
    return Intent(value['name'], value['reason'], tuple(value['evidence']))


def _to_source(value: Any) -> tuple[str, NodeId]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(f"'sources' must hold pairs, got {value!r:.80}")
    _check_type('sources', value[0], (str,))
    _check_type('sources', value[1], (int, str))
    return value[0], value[1]


def _check_names(
    what: str, value: Any, kinds: dict[str, type], optional: Sequence[str] = ()
) -> None:
    if not isinstance(value, dict):
        raise ValueError(f'{what} must be an object, got {value!r:.80}')
    missing = kinds.keys() - value.keys() - set(optional)
    if missing or value.keys() - kinds.keys():
        raise ValueError(
            f'{what} must have the fields {", ".join(kinds)}, got '
            f'{", ".join(map(repr, value))[:200]}'
        )
    for name, kind in kinds.items():
        if name in value and kind is not object:
            kinds_of_list = (list, tuple) if kind is list else (kind,)
            _check_type(name, value[name], kinds_of_list)


def _check_type(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected = ' or '.join(_KINDS[kind] for kind in kinds if kind in _KINDS)
        raise ValueError(f"'{name}' must be {expected}, got {value!r:.80}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"'{name}' must fit into 64 bits, got {value!r:.80}")


def read_answer(answer: str, num_texts: int, max_intents: int) -> tuple[Intent, ...]:
    r"""Read the intents in a model's answer: one JSON object

    .. code-block:: json

        {"steps": ["..."], "intents":
         [{"name": "...", "reason": "...", "evidence": [1, 2]}]}

    with or without text around it. Thoughts of the model are ignored, no matter how
    they are marked (:obj:`<think>`, channels, a heading, ...). Repetitions of the
    template and objects without :obj:`"intents"` are ignored, too. Objects with the
    same intents count once. The object may be nested in another object under a key such
    as :obj:`"result"`.

    Args:
        answer (str): The answer.
        num_texts (int): The number of texts in the question.
        max_intents (int): The largest number of intents.

    Raises:
        ValueError: If the answer has no such object, has several objects with different
            intents, has a later object that is cut off or malformed (which makes the
            earlier objects a draft), or ends within thoughts. The message is sent to
            the model, which can then correct its answer.
        ImportError: If pydantic is not installed.
    """
    intents = tuple(
        Intent(
            to_single_line(i.name),
            to_single_line(i.reason),
            tuple(sorted(set(i.evidence))),
        )
        for i in _parse(answer, 'intents').intents
    )
    _check_intents(intents, num_texts, max_intents)
    return intents


def read_profile(answer: str) -> str:
    r"""Read the profile in a model's answer, :obj:`{"reasoning": "...", "profile":
    "..."}`, as :func:`read_answer` reads intents.

    Args:
        answer (str): The answer.

    Raises:
        ValueError: If the answer has no such object.
        ImportError: If pydantic is not installed.
    """
    profile = to_single_line(_parse(answer, 'profile').profile)
    if not profile or _is_placeholder(profile):
        raise ValueError('profile must be filled in, got the words of the template')
    return profile


def _parse(answer: str, key: str) -> Any:
    r"""Parse and validate the object with :obj:`key` in an answer."""
    import_optional('pydantic', 'read_answer', 'llm')
    from pydantic import ValidationError

    from pyg_irllrec.text.intents._answer_schema import AnsweredIntents, AnsweredProfile

    schema = AnsweredIntents if key == 'intents' else AnsweredProfile
    answer = _unquote(answer)
    text = strip_thoughts(answer)
    if text is None:
        raise UnfinishedThoughts
    try:
        found = find_objects(text)
        if not found:
            raise ValueError(_explain_absence(answer, text))
        return schema.model_validate(_choose_object(found, key))
    except ValidationError as error:
        # Leave out the input, which may be long.
        reasons = [
            f'{".".join(map(str, each["loc"])) or "the JSON"}: {each["msg"]}'
            for each in error.errors(include_input=False, include_url=False)[:3]
        ]
        raise ValueError(to_single_line('; '.join(reasons))[:500]) from None


def _unquote(text: str) -> str:
    r"""Decode a text that is a JSON string as a whole."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _explain_absence(answer: str, text: str) -> str:
    r"""Explain why no object was found outside thoughts."""
    wanted = 'the answer must hold a JSON object'
    if not answer.strip():
        return f'{wanted}, got no text'
    if not text.strip():
        got = 'one' if find_objects(answer) else 'none'
        where = f'{got} within thoughts or tags and nothing after them'
        return f'{wanted}, got {where}: {END_THOUGHTS}'
    if find_objects(answer):
        return f'{wanted}, got none outside thoughts and tags'
    return f'{wanted}, got none'


def _choose_object(found: list[FoundObject], key: str) -> dict[str, Any]:
    r"""Return the object with :obj:`key`, or the last other object."""
    answers: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    is_cut = False
    for each in found:
        if each.value is None:
            is_cut = True
        elif not _is_draft_label(each.label):
            value = _unwrap(each.value, key)
            if key in value and not _is_template(value[key]):
                answers.append(value)
                is_cut = False
            else:
                others.append(value)
    if is_cut:
        raise ValueError(
            'the JSON object of the answer must be whole, got one that is cut off or '
            'malformed'
        )
    if len({json.dumps(each[key], sort_keys=True) for each in answers}) > 1:
        raise ValueError(
            f"the answer must hold one JSON object with '{key}', got several that "
            'differ'
        )
    if not answers and not others:
        raise ValueError(
            'the answer must hold a JSON object, got none outside thoughts and tags'
        )
    return (answers or others)[-1]


def _unwrap(value: dict[str, Any], key: str) -> dict[str, Any]:
    r"""Return the object nested under a key such as :obj:`"result"`, if there is
    exactly one."""
    while key not in value:
        inner = [
            each
            for name, each in value.items()
            if isinstance(each, dict) and means_answer(name)
        ]
        if len(inner) != 1:
            break
        value = inner[0]
    return value


def _is_draft_label(label: str) -> bool:
    r"""Return whether the label of an object marks it as a draft."""
    words = label.split()
    if label.endswith(
        ('"', "'")
    ):  # A key, so the object is part of a malformed object.
        return not means_answer(words[-1])
    return 0 < len(words) <= _MAX_LABEL_WORDS and means_thought(words[-1])


def _is_template(written: Any) -> bool:
    r"""Return whether this is the unfilled template from the prompt."""
    if not isinstance(written, list):
        return _is_placeholder(written)
    return written != [] and all(
        isinstance(each, dict)
        and (_is_placeholder(each.get('name')) or _is_placeholder(each.get('reason')))
        for each in written
    )


def _is_placeholder(text: Any) -> bool:
    if not isinstance(text, str) or not text.strip():
        return False
    return text.strip(' .\u2026<>[]').casefold() in ('', *_PLACEHOLDERS)


def _check_intents(
    intents: tuple[Intent, ...], num_texts: int, max_intents: int
) -> None:
    if len(intents) > max_intents:
        raise ValueError(f'intents must be at most {max_intents}, got {len(intents)}')
    names = _repeated(
        unicodedata.normalize('NFC', intent.name.casefold()) for intent in intents
    )
    if names:
        raise ValueError(f'intents must have distinct names, got {names[0]!r} twice')
    for number, intent in enumerate(intents):
        if not intent.name or not intent.reason:
            raise ValueError(f'intents.{number} must have a name and a reason')
        if _is_placeholder(intent.name) or _is_placeholder(intent.reason):
            raise ValueError(
                f'intents.{number} must be filled in, got the words of the template'
            )
        if intent.evidence[-1] > num_texts:
            raise ValueError(
                f'intents.{number}.evidence must hold numbers from 1 to {num_texts}, '
                f'got {intent.evidence[-1]}'
            )


def _repeated(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [name for row, name in enumerate(names) if name in names[:row]]
