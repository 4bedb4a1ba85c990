from __future__ import annotations

from collections.abc import Sequence

from pyg_irllrec.utils.checks import check_positive


def fitting_cutoffs(num_items: int, ks: Sequence[int] = (5, 10, 20)) -> tuple[int, ...]:
    r"""The cut-offs of Recall and NDCG that a catalogue has items for; where it has
    for none, the number of its items.

    Args:
        num_items (int): The number of items.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
    """
    check_positive('num_items', num_items)
    return tuple(k for k in ks if k <= num_items) or (num_items,)
