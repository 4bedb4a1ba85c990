from __future__ import annotations


def one_line(text: str) -> str:
    r"""The text without line breaks, and without what no reader sees (control and
    format characters, halves of characters), which stands as a blank."""
    if not text.isprintable():
        text = ''.join(char if char.isprintable() else ' ' for char in text)
    return ' '.join(text.split())
