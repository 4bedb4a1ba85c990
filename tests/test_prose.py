"""Phrasings that the house style bans, in docstrings, comments, messages and pages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md')),
    *sorted((ROOT / 'docs').glob('*.md')),
]

THINGS = 'node|user|item|text|edge|batch|step|epoch|row|interaction|question|prompt'
BANNED = {
    'a thing neither speaks nor knows': r'\b(says|tells|knows|is told|has it that)\b',
    'write "per text"': rf'\b(one|once|two|\d+) an? ({THINGS})\b',
    'write "differs from"': r'\b(is|are) (an)?other than\b',
    'write "again"': r'\banew\b',
    'write "unless ... is given"': r'\bunless told\b',
    'write "at least 0"': r'\bfrom (zero|0|one|1) on\b',
    'write "all of it"': r'\bin whole\b',
    'write "anyone who"': r'\bwhoever\b',
    'write "if there are none"': r'\b(is|are) no \w+ there\b',
    'write "n users"': r'\bof so many\b',
    'write "in time"': r'\bby then\b',
    'write "if there is none"': r'\bwhere (there )?(is|are) (no|none)\b',
    'write "is used"': r'\b(take|takes) part\b',
    'write "is in" or "is stored in"': (
        r'\b(lie|lies) (in|beside|behind|under)\b'
        r'|\b(files?|data|folders?|tables?) (lie|lies)\b'
    ),
}
VERBS = (
    'Adds|Applies|Asks|Begins|Builds|Compares|Computes|Converts|Creates|Downloads|Draws|'
    'Finds|Gives|Holds|Keeps|Leaves|Lets|Loads|Makes|Opens|Prints|Raises|Reads|Refuses|'
    'Removes|Replaces|Returns|Runs|Saves|Sends|Sets|Shows|Splits|Starts|Stores|Takes|'
    'Trains|Turns|Waits|Writes|Yields'
)
# These may be nouns as well.
MORE = 'adds|checks|counts|compares|names|reports'
# "Read a file and returns it": the second verb has another mood than the first.
SECOND = rf'\b(and|or),? ({VERBS.lower()}|{MORE})\b'
# The first word is no verb, or one of another sentence.
NOUN = r'(An?|The|This|These|It|Whether|What|Where|How|If|Without|For|[A-Z]\w*s)\b'
# What is right where it is.
ALLOWED = ('one sentence that says why',)
CODE = sorted(
    path
    for folder in ('pyg_irllrec', 'benchmarks', 'examples')
    for path in (ROOT / folder).rglob('*.py')
)


@cache
def prose(path: Path) -> tuple[tuple[int, str], ...]:
    """Lines and texts: those of a page, or the strings and comments of code."""
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.md':
        text = re.sub(r'```.*?```', lambda m: '\n' * m[0].count('\n'), text, flags=re.S)
        return tuple(enumerate(text.splitlines(), 1))
    found = [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    # Lines of comments that follow each other are one text.
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            words = token.string.lstrip('# ')
            if token.start[0] == last + 1:
                line, before = found.pop()
                found.append((line, f'{before} {words}'))
            else:
                found.append((token.start[0], words))
            last = token.start[0]
    return tuple((line, ' '.join(words.split())) for line, words in found)


def hits(pattern: str, paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for line, words in prose(path):
            for phrase in ALLOWED:
                words = words.replace(phrase, '')
            for match in re.finditer(pattern, words):
                around = words[max(match.start() - 30, 0) : match.end() + 30]
                yield f'{path.relative_to(ROOT)}:{line}: {around}'


@pytest.mark.parametrize('advice', BANNED)
def test_no_banned_phrase(advice):
    found = list(hits(BANNED[advice], PAGES + CODE))
    assert not found, f'{advice}:\n' + '\n'.join(found)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield getattr(node, 'lineno', 1), ' '.join(text.split())


def test_docstrings_are_imperative_or_a_noun_phrase():
    found = [
        f'{path.relative_to(ROOT)}:{line}: {text[:80]}'
        for path in CODE
        for line, text in docstrings(path)
        if re.match(rf'({VERBS})\b', text)
        or (re.search(SECOND, text.split('. ')[0]) and not re.match(NOUN, text))
    ]
    assert not found, '\n'.join(found)
