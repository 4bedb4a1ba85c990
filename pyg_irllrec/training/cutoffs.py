from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from pyg_irllrec.utils.checks import check_count


def fitting_cutoffs(num_items: int, ks: Sequence[int] = (5, 10, 20)) -> tuple[int, ...]:
    r"""Return the cut-offs of Recall and NDCG that are not above the number of items.
    If all of them are, return the number of items as the only cut-off.

    Args:
        num_items (int): The number of items.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)

    Raises:
        ValueError: If a number is not an integer of at least 1.

    Example:
        >>> from pyg_irllrec.training import fitting_cutoffs
        >>> fitting_cutoffs(12), fitting_cutoffs(3)
        ((5, 10), (3,))
    """
    check_count('num_items', num_items)
    return tuple(k for k in as_cutoffs(ks) if k <= num_items) or (num_items,)


def as_cutoffs(ks: object) -> tuple[int, ...]:
    r"""Return cut-offs as plain integers, in the given order.

    Args:
        ks (sequence of int): The cut-offs, which may also be a set, an array or a
            tensor.

    Raises:
        ValueError: If there are none, or one is not an integer of at least 1.
    """
    values = ks.tolist() if isinstance(ks, (Tensor, np.ndarray)) else ks
    if isinstance(values, (set, frozenset)):
        values = sorted(values, key=str)
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise ValueError(f"'ks' must be a list of cut-offs, such as (20,), got {ks!r}")
    if len(values) == 0:
        raise ValueError("'ks' must hold at least one cut-off, such as (20,), got none")
    for k in values:
        check_count('ks', k)
    return tuple(int(k) for k in values)
