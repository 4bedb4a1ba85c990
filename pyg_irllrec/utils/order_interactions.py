from __future__ import annotations

from typing import Optional

import numpy as np

from pyg_irllrec.typing import IntArray


def order_interactions(
    group: IntArray,
    other: IntArray,
    num_other: int,
    time: Optional[IntArray] = None,
    draw: Optional[IntArray] = None,
) -> IntArray:
    r"""The positions of the interactions, without repeats, sorted by group. Within a
    group they are sorted by decreasing :obj:`time` or increasing :obj:`draw` if given,
    then by increasing degree of the other node, then by node.

    Args:
        group (numpy.ndarray): The node whose interactions are sorted.
        other (numpy.ndarray): The node that it interacted with.
        num_other (int): The number of nodes on the other side.
        time (numpy.ndarray, optional): The time of each interaction.
            (default: :obj:`None`)
        draw (numpy.ndarray, optional): A random number per interaction.
            (default: :obj:`None`)
    """
    rank = np.empty(num_other, np.int64)
    degree = np.bincount(other, minlength=num_other)
    rank[degree.argsort(kind='stable')] = np.arange(num_other)
    keys = [rank[other], group]
    if time is not None:
        keys.insert(1, ~time)  # Reverses the order. Unlike -time, it cannot overflow.
    if draw is not None:
        keys.insert(1, draw)
    order = np.lexsort(keys)
    pair = group[order] * num_other + other[order]
    _, first = np.unique(pair, return_index=True)
    first.sort()
    return order[first]
