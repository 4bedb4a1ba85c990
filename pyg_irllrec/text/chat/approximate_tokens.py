from __future__ import annotations

from pyg_irllrec.utils.argument_checks import check_instance


def approximate_tokens(text: str) -> int:
    r"""The approximate number of tokens of a text, without a tokenizer: one per four
    bytes of UTF-8, rounded up.

    Raises:
        ValueError: If it is no text.
    """
    check_instance('text', text, str)
    return -(-len(text.encode('utf-8', 'surrogatepass')) // 4)
