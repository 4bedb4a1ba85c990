from __future__ import annotations


def to_single_line(text: str) -> str:
    r"""Return the text in one line. Control characters, format characters and lone
    surrogates become spaces, and each run of whitespace becomes one space."""
    if not text.isprintable():
        text = ''.join(char if char.isprintable() else ' ' for char in text)
    return ' '.join(text.split())
