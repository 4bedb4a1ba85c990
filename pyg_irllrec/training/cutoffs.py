from __future__ import annotations

from collections.abc import Sequence

from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count


def fitting_cutoffs(num_items: int, ks: Sequence[int] = (5, 10, 20)) -> tuple[int, ...]:
    r"""The cut-offs of Recall and NDCG that a catalogue has items for; where it has
    for none, the number of its items.

    Args:
        num_items (int): The number of items.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)

    Raises:
        ValueError: If a number is not one of 1 or above.
    """
    check_count('num_items', num_items)
    check_count('num_items', num_items)
    check_instance('ks', ks, Sequence)
    for k in ks:
        check_count('ks', k)
    return tuple(k for k in ks if k <= num_items) or (num_items,)
