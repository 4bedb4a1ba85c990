from __future__ import annotations


def to_single_line(text: str) -> str:
    r"""The text in one line. Control characters, format characters and unpaired
    surrogates become blanks, and runs of blanks one blank."""
    if not text.isprintable():
        text = ''.join(char if char.isprintable() else ' ' for char in text)
    return ' '.join(text.split())
