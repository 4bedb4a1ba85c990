from __future__ import annotations

from pyg_irllrec.utils.argument_checks import check_instance


def approximate_tokens(text: str) -> int:
    r"""Estimate the number of tokens of a text without a tokenizer: one token per four
    bytes of UTF-8, rounded up.

    Args:
        text (str): The text.

    Raises:
        ValueError: If :obj:`text` is not a string.

    Example:
        >>> from pyg_irllrec.text import approximate_tokens
        >>> approximate_tokens('A calm film about the sea')
        7
    """
    check_instance('text', text, str)
    return -(-len(text.encode('utf-8', 'surrogatepass')) // 4)
