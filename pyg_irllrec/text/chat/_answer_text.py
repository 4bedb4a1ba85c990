"""Separate the answer of a model from its thoughts, and find JSON objects in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple, Optional

_OPEN, _CLOSE = r'(?:[<\u25c1\uff1c]|&lt;)', r'(?:[>\u25b7\uff1e]|&gt;)'
_MARK = re.compile(
    # <|channel|>analysis<|message|>, <|channel>thought, <|im_start|>think
    r'<\|(?P<role>channel|im_start|start|start_header_id)\|?>\s{0,4}'
    r'(?P<channel>\w{0,40})[^<{\n]{0,200}(?:<\|message\|>)?'
    r'|(?P<end_channel><channel\|>|<\|(?:end|im_end)\|>)'
    # <unused94>thought ... <unused95>
    r'|<unused\d{1,4}>(?P<unused>\s{0,4}thought)?'
    # <think>, </Thinking>, <|end_of_thought|>, <|START_THINKING|>, <seed:think>, ...
    rf'|{_OPEN}[|\uff5c]?\s{{0,4}}(?P<slash>/?)\s{{0,4}}'
    r'(?P<name>[\w:.\u2581-]{1,60})(?P<more>[\s=][^<>{}]{0,200}?)?'
    rf'\s{{0,4}}(?P<alone>/?)[|\uff5c]?\s{{0,4}}{_CLOSE}'
    r'|\[(?P<bracket_slash>/?)(?P<bracket>(?:(?:begin|start|end) )?[a-z_-]{3,40})\]'
    r'|(?P<final>\[BEGIN FINAL RESPONSE\])|(?P<reply>here(?: is|\'s) my response:)'
    r'|```(?P<fence>[\w-]{0,40})'
    r'|^[ \t]{0,3}(?:\#{1,6}[ \t]*(?P<heading>[^\n<>{}`]{1,60})'
    r'|\*\*(?P<bold>[^\n<>{}`*]{1,60})\*\*)'
    # Ollama
    r'|^(?P<thinking>Thinking(?:\.\.\.|\u2026))[ \t]*$'
    r'|^(?P<done>(?:\.\.\.|\u2026) ?done thinking\b\.?)',
    re.IGNORECASE | re.MULTILINE,
)
# The beginning of an object, valid or not: {"a", {'a', {a:, {/*, {}, or a cut-off {.
_BRACE = re.compile(
    r'\{(?=\s*(?:["\'\u201c\u201d\u2018\u2019/}]|\Z)|\s*[A-Za-z_]\w*\s*:)'
)
_MARK_OR_BRACE = re.compile(
    f'{_BRACE.pattern}|{_MARK.pattern}', re.IGNORECASE | re.MULTILINE
)
# Marks that only count at the beginning of an answer: the channels of gpt-oss without
# their special tokens, and the opening words of Granite and Apriel.
_OPENING = re.compile(
    r'\s*(?:(?P<bare>(?:assistant)?(?:analysis|commentary)(?=[^\s:.,;]))'
    r'|here(?: is|\'s) my thought process:|here are my reasoning steps:)',
    re.IGNORECASE,
)
_BARE_FINAL = 'assistantfinal'
_FENCED = re.compile(r'```\w*\s(.*)```', re.DOTALL)
_ODD_BLANK = re.compile(r'[^\S \t\r\n]|\ufeff')
_LABEL = re.compile(r'([^\n{}:]{0,60}):[\s*_]*(?:```\w*)?\s*\Z')

_THOUGHT = re.compile(
    r'think|thought|reason|monolog|draft|scratch|reflect|analy[sz]|deliberat|'
    r'brainstorm|\bcot\b'
)
# Headings of sections whose end may be the answer, without a heading of its own.
_REASONS = re.compile(r'(?:my |the )?(?:reasoning|reasons?|analysis)')
_ANSWER = frozenset(
    'answer answers output response result results final json tool call calls '
    'function content reply solution intent intents object data arguments args '
    'parameters input completion message conclusion'.split()
)
_LAYOUT = frozenset(
    'a b blockquote body br center code div em font h hr html i li ol p pre s small '
    'span strong text table td tr u ul xml evidence'.split()
)
_ENDS = frozenset('end close stop done finish'.split())
_MAX_DIGITS = 18
_MAX_MALFORMED = 500  # Each one costs time proportional to the answer.
_MAX_OBJECTS = 10_000
_MAX_MARKS = 20_000
_MAX_MENTION = 200


class UnfinishedThoughts(ValueError):
    r"""A model stopped before it answered."""

    def __init__(self) -> None:
        super().__init__(
            "there is no answer, because the model's thoughts do not end: raise "
            'max_tokens, or turn thinking off'
        )


END_THOUGHTS = (
    "raise 'max_tokens', turn thinking off, or fix the chat template of the model"
)
NO_ANSWER = f'the model wrote thoughts and no answer: {END_THOUGHTS}'


class FoundObject(NamedTuple):
    r"""An object in a text."""

    value: Optional[dict[str, Any]]
    """The object; :obj:`None` if it is malformed or cut off."""
    label: str
    """The words before the object that end in a colon, such as a key or "Draft"."""


class _Mark(NamedTuple):
    r"""A mark that begins or ends thoughts, a tag or a section."""

    kind: str
    start: int
    end: int
    name: str = ''


def means_thought(name: str) -> bool:
    r"""Return whether the name of a tag, key or heading announces thoughts."""
    return _THOUGHT.search(_spaced(name)) is not None


def means_answer(name: str) -> bool:
    r"""Return whether the name of a tag, key or heading announces an answer."""
    return not means_thought(name) and not _ANSWER.isdisjoint(_spaced(name).split())


def strip_thoughts(answer: str) -> Optional[str]:
    r"""Remove the thoughts from an answer. Return :obj:`None` if they do not end, so
    that there is no answer. A closing mark without an opening one ends thoughts that
    the chat template opened. Paired tags and sections count as thoughts unless their
    name announces an answer. Marks inside JSON objects are plain text.
    """
    opening = _OPENING.match(answer)
    if opening is not None and opening['bare']:
        _, closed, answer = answer.partition(_BARE_FINAL)
        if not closed:
            return None
        opening = None
    marks = _find_marks(answer)
    if len(marks) > _MAX_MARKS:
        return ''
    state = _State(opening is not None)
    kept: list[str] = []
    start = 0
    for mark in _without_lone_tags(marks):
        if mark.kind == 'fence' and not state.cares_for_fence(mark.name):
            continue
        if state.is_visible:
            kept.append(answer[start : mark.start])
        start = mark.end
        if state.pass_mark(mark):
            kept = []
    if state.is_unfinished:
        opened = state.lone_opening
        if opened is None or not _is_mentioned(answer, opened, kept):
            return None
        start = opened.start
    elif not state.is_visible and not (
        state.is_in_reasons and _ends_with_object(answer[start:])
    ):
        start = len(answer)
    return '\n'.join([*kept, answer[start:]])


def find_objects(text: str) -> list[FoundObject]:
    r"""Find the outermost JSON objects in a text, in order. An object that is malformed
    or cut off is included without a value; objects inside it, before its first error,
    are not found. The result is empty if a text has hundreds of malformed objects."""
    text = _ODD_BLANK.sub(' ', text)
    found: list[FoundObject] = []
    place = malformed = 0
    while (brace := _BRACE.search(text, place)) is not None:
        value, place = _read_object(text, brace.start())
        label = _LABEL.search(text, max(0, brace.start() - 100), brace.start())
        found.append(FoundObject(value, '' if label is None else label[1]))
        malformed += value is None
        if malformed == _MAX_MALFORMED or len(found) > _MAX_OBJECTS:
            return []
    return found


def is_whole_object(text: str) -> bool:
    r"""Return whether a text is one JSON object, apart from thoughts and a code
    fence."""
    text = _ODD_BLANK.sub(' ', strip_thoughts(text) or '').strip()
    if (fenced := _FENCED.fullmatch(text)) is not None:
        text = fenced[1].strip()
    value, end = _read_object(text, 0) if text.startswith('{') else (None, 0)
    return value is not None and end == len(text)


class _State:
    r"""The position of a reader: in thoughts, a channel, a section, tags or the
    answer."""

    def __init__(self, is_opened: bool) -> None:
        self._depth = int(is_opened)
        self._opening: Optional[_Mark] = None
        self._is_announced = is_opened
        self._in_channel = False
        self._section = 'answer'
        self._fences = 0
        self._tags: list[bool] = []

    @property
    def is_unfinished(self) -> bool:
        return self._depth > 0 or self._in_channel or self._fences > 0

    @property
    def is_visible(self) -> bool:
        in_answer = not self._tags or self._tags[-1]
        return in_answer and not self.is_unfinished and self._section == 'answer'

    @property
    def is_in_reasons(self) -> bool:
        return self._section == 'reasons' and not self._tags

    @property
    def lone_opening(self) -> Optional[_Mark]:
        r"""The mark that opened the thoughts, if nothing else is unfinished."""
        is_lone = self._depth == 1 and not self._in_channel and not self._fences
        return self._opening if is_lone else None

    def cares_for_fence(self, language: str) -> bool:
        return self._fences > 0 or means_thought(language)

    def pass_mark(self, mark: _Mark) -> bool:
        r"""Move past a mark. Return whether all text before it was thoughts."""
        was_thought = False
        if mark.kind == 'open':
            self._depth += 1
            self._opening = mark
        elif mark.kind == 'close':
            was_thought = self._depth == 0
            self._depth = max(0, self._depth - 1)
        elif mark.kind == 'final' or (mark.kind == 'reply' and self._is_announced):
            was_thought, self._depth, self._in_channel = True, 0, False
            self._is_announced = False
        elif mark.kind == 'channel':
            self._depth = 0
            self._in_channel = mark.name != ''
        elif mark.kind == 'end channel':
            self._in_channel = False
        elif mark.kind == 'tag':
            self._tags.append(mark.name == 'answer')
        elif mark.kind == 'end tag':
            self._tags.pop()
        elif mark.kind == 'section':
            self._section = mark.name
        elif mark.kind == 'fence':
            self._fences += 1 if mark.name else -1
        return was_thought


def _find_marks(answer: str) -> list[_Mark]:
    text = _ODD_BLANK.sub(' ', answer)
    marks: list[_Mark] = []
    place = tried = malformed = 0
    while (found := _MARK_OR_BRACE.search(text, place)) is not None:
        place = found.end()
        if found[0] == '{':
            if found.start() >= tried and malformed < _MAX_MALFORMED:
                value, tried = _read_object(text, found.start())
                malformed += value is None
                place = place if value is None else tried
            continue
        mark = _read_mark(found)
        if mark is None:
            continue
        marks.append(mark)
        tried = place
        if len(marks) > _MAX_MARKS:
            break
    return marks


def _read_mark(found: re.Match[str]) -> Optional[_Mark]:
    kind = name = ''
    if found['name'] is not None:
        kind, name = _read_tag(found)
    elif found['bracket'] is not None:
        if means_thought(found['bracket']):
            words = _spaced(found['bracket']).split()
            is_end = found['bracket_slash'] or not _ENDS.isdisjoint(words)
            kind = 'close' if is_end else 'open'
    elif found['role'] is not None:
        kind = 'channel'
        channel = found['channel'].lower()
        if found['role'].lower() == 'channel':
            name = '' if channel == 'final' else channel or 'unknown'
        else:
            name = channel if means_thought(channel) else ''
    elif found['heading'] or found['bold']:
        title = found['heading'] or found['bold']
        if means_thought(title):
            is_reasons = _REASONS.fullmatch(_spaced(title)) is not None
            kind, name = 'section', 'reasons' if is_reasons else 'thought'
        elif means_answer(title):
            kind, name = 'section', 'answer'
    elif found['fence'] is not None:
        kind, name = 'fence', found['fence']
    elif found['thinking'] or found['unused']:
        kind = 'open'
    elif found['done'] or found[0].lower().startswith('<unused'):
        kind = 'close'
    elif found['end_channel']:
        kind = 'end channel'
    else:
        kind = 'final' if found['final'] else 'reply'
    return _Mark(kind, found.start(), found.end(), name) if kind else None


def _read_tag(found: re.Match[str]) -> tuple[str, str]:
    r"""Return the kind of a tag, and its name unless it marks thoughts."""
    name = found['name']
    words = _spaced(name).split()
    is_end = bool(found['slash'])
    if found['alone'] or not words:
        return '', ''
    if means_thought(name):
        return 'close' if is_end or not _ENDS.isdisjoint(words) else 'open', ''
    if found[0][1:2] in '|\uff5c':
        return '', ''
    if not means_answer(name) and means_thought(found['more'] or ''):
        return 'thought tag', name.lower()
    return ('end tag' if is_end else 'tag'), name.lower()


def _without_lone_tags(marks: list[_Mark]) -> list[_Mark]:
    r"""Remove layout tags, and tags without a partner, which are plain text. Rename the
    remaining pairs by their meaning."""
    pairs: dict[int, str] = {}
    open_tags: dict[str, list[int]] = {}
    pending: list[int] = []
    for row, mark in enumerate(marks):
        if mark.kind in ('tag', 'thought tag'):
            open_tags.setdefault(mark.name, []).append(row)
            pending.append(row)
        elif mark.kind == 'end tag' and open_tags.get(mark.name):
            # Unclosed tags inside the pair are plain text.
            while (opened := pending.pop()) != open_tags[mark.name][-1]:
                open_tags[marks[opened].name].pop()
            open_tags[mark.name].pop()
            pairs[opened] = pairs[row] = _pair_meaning(marks[opened])
    kept = []
    for row, mark in enumerate(marks):
        if row in pairs and pairs[row] != 'layout':
            kind = 'end tag' if mark.kind == 'end tag' else 'tag'
            kept.append(mark._replace(kind=kind, name=pairs[row]))
        elif row not in pairs and mark.kind == 'thought tag':
            kept.append(mark._replace(kind='open'))
        elif mark.kind not in ('tag', 'end tag'):
            kept.append(mark)
    return kept


def _pair_meaning(opened: _Mark) -> str:
    if opened.kind == 'tag' and means_answer(opened.name):
        return 'answer'
    is_layout = opened.kind == 'tag' and _spaced(opened.name) in _LAYOUT
    return 'layout' if is_layout else 'thought'


def _ends_with_object(section: str) -> bool:
    r"""Return whether a section is prose, followed by one object on separate lines."""
    prose, _, rest = section.partition('\n{')
    prose = re.sub(r'```\w*', '', prose)
    has_prose = '{' not in prose and re.search(r'\w', prose) is not None
    return has_prose and is_whole_object('{' + rest.rstrip('` \t\r\n'))


def _is_mentioned(answer: str, mark: _Mark, kept: list[str]) -> bool:
    r"""Return whether a mark after a complete object is part of a remark, such as
    "(I kept <think> off.)"."""
    line = answer[answer.rfind('\n', 0, mark.start) + 1 : mark.start].strip()
    after = answer[mark.end :].strip()
    return (
        len(after) <= _MAX_MENTION
        and after.endswith(('.', ')', '!'))
        and not set('{}') & set(line + after)
        and line != ''
        and any(found.value is not None for found in find_objects('\n'.join(kept)))
    )


def _spaced(name: str) -> str:
    r"""Split a name such as :obj:`antThinking` or :obj:`end_of_thought` into words."""
    name = re.sub(r'(?<=[a-z])(?=[A-Z])|[\W\d_]+', ' ', name)
    return name.lower().strip()


def _read_object(text: str, start: int) -> tuple[Optional[dict[str, Any]], int]:
    r"""Return the JSON object that starts at a brace, and its end. If it is malformed,
    return :obj:`None` and the position of the first error, where the search continues.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return None, max(error.pos, start + 1)
    except RecursionError:
        return None, len(text)


def _make_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):  # Ambiguous: add a key that every schema rejects.
        counts = Counter(name for name, _ in pairs)
        value[f'{counts.most_common(1)[0][0][:80]} (given twice)'] = None
    return value


def _parse_int(digits: str) -> Any:
    # Longer numbers stay strings, which schemas reject: int() fails on thousands of
    # digits.
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


_DECODER = json.JSONDecoder(object_pairs_hook=_make_dict, parse_int=_parse_int)
