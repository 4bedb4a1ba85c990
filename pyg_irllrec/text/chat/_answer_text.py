"""What a model answered, apart from what it thought."""

from __future__ import annotations

import json
import re
from typing import Any, Optional

_WORD = (
    r'(?:\w{1,20}:)?(?:thinking|think|thoughts?|reasoning|reflection|scratchpad|'
    r'analysis)'
)
_MARK = re.compile(
    # <think>, </Thinking>, <|end_of_thought|>, <|START_THINKING|>, <seed:think>, ...
    rf'<\|?\s*(?P<close>/|end_(?:of_)?)?(?:(?:begin|start)_(?:of_)?)?{_WORD}'
    r'(?:\s[^<>{}]{0,200})?(?P<alone>/)?\|?\s*>'
    r'|\[(?P<close_bracket>/)?THINK\]'
    r'|\u25c1\s*(?P<close_triangle>/)?\s*think\s*\u25b7'
    # <|channel|>analysis<|message|>, <|channel|>final<|message|>, <|channel>thought
    r'|<\|channel\|?>\s*(?P<channel>\w*)[^<{]{0,200}(?:<\|message\|>)?'
    r'|(?P<end_channel><channel\|>|<\|end\|>)'
    r'|(?P<final>\[BEGIN FINAL RESPONSE\]|here(?: is|\'s) my response:)',
    re.IGNORECASE,
)
_BRACE = re.compile(r'\{(?=[ \t\r\n]*["}])')  # Where JSON may begin.
_MARK_OR_BRACE = re.compile(f'{_BRACE.pattern}|{_MARK.pattern}', re.IGNORECASE)
# Marks that only the beginning of an answer can be: the channels of gpt-oss without
# their special tokens, and the words of Granite and Apriel.
_OPENING = re.compile(
    r'\s*(?:(?P<bare>(?:assistant)?(?:analysis|commentary)(?=[^\s:.,;]))'
    r'|here(?: is|\'s) my thought process:|here are my reasoning steps:)',
    re.IGNORECASE,
)
_BARE_FINAL = 'assistantfinal'
_MAX_DIGITS = 18
_MAX_MALFORMED = 500  # Each costs time that grows with the answer.


class UnfinishedThoughts(ValueError):
    r"""A model stopped before it gave an answer."""

    def __init__(self) -> None:
        super().__init__(
            "no answer was given, because the model's thoughts do not end: raise "
            'max_tokens, or turn thinking off'
        )


def strip_thoughts(answer: str) -> Optional[str]:
    r"""The answer without the model's thoughts, or :obj:`None` where they do not end,
    so that no answer was given. A closing mark without an opening one ends thoughts
    that the template of the model has opened. Marks inside of JSON objects are text.
    """
    opening = _OPENING.match(answer)
    if opening is not None and opening['bare']:
        _, closed, answer = answer.partition(_BARE_FINAL)
        if not closed:
            return None
        opening = None
    if opening is None and _MARK.search(answer) is None:
        return answer
    kept: list[str] = []
    depth = int(opening is not None)
    in_channel = False
    start = place = tried = malformed = 0
    while (mark := _MARK_OR_BRACE.search(answer, place)) is not None:
        place = mark.end()
        if mark[0] == '{':
            if mark.start() >= tried and malformed < _MAX_MALFORMED:
                value, tried = _read_object(answer, mark.start())
                malformed += value is None
                place = place if value is None else tried
            continue
        tried = place
        if depth == 0 and not in_channel:
            kept.append(answer[start : mark.start()])
        start = place
        if mark['final'] is not None:
            kept, depth, in_channel = [], 0, False
        elif mark['channel'] is not None:
            depth, in_channel = 0, mark['channel'].lower() != 'final'
        elif mark['end_channel'] is not None:
            in_channel = False
        elif mark['alone'] is not None:
            pass
        elif mark['close'] or mark['close_bracket'] or mark['close_triangle']:
            if depth == 0:
                kept = []
            depth = max(0, depth - 1)
        else:
            depth += 1
    if depth > 0 or in_channel:
        return None
    return '\n'.join([*kept, answer[start:]])


def find_objects(text: str) -> list[dict[str, Any]]:
    r"""The outermost JSON objects in a text, in their order. What lies inside an object
    that is cut off or malformed is not found; nor is anything in a text that holds
    hundreds of those."""
    found: list[dict[str, Any]] = []
    place = malformed = 0
    while (brace := _BRACE.search(text, place)) is not None:
        value, place = _read_object(text, brace.start())
        if value is not None:
            found.append(value)
            continue
        malformed += 1
        if malformed == _MAX_MALFORMED:
            return []
    return found


def is_whole_object(text: str) -> bool:
    r"""Whether a text is one JSON object and nothing else."""
    text = text.strip()
    value, end = _read_object(text, 0) if text.startswith('{') else (None, 0)
    return value is not None and end == len(text)


def _read_object(text: str, start: int) -> tuple[Optional[dict[str, Any]], int]:
    r"""The JSON object that starts at a brace, and its end; or :obj:`None` and the
    place of the first error, before which nothing has to be tried again."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return None, max(error.pos, start + 1)
    except RecursionError:
        return None, len(text)


def _make_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):  # Two meanings: a key that every schema refuses.
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        value[f'{repeated[:80]} (given twice)'] = None
    return value


def _parse_int(digits: str) -> Any:
    # A string, which no schema takes for a number: int() refuses thousands of digits.
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


_DECODER = json.JSONDecoder(object_pairs_hook=_make_dict, parse_int=_parse_int)
