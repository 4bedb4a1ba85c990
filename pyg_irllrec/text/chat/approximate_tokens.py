from __future__ import annotations


def approximate_tokens(text: str) -> int:
    r"""The approximate number of tokens of a text, without a tokenizer: one per four
    bytes of UTF-8, rounded up."""
    return -(-len(text.encode('utf-8', 'surrogatepass')) // 4)
