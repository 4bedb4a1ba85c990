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
    r"""The numbers of interactions, group by group, each pair once: by decreasing
    :obj:`time` or increasing :obj:`draw` where either is given, then by how few
    interactions the other node has, then by node.

    Args:
        group (numpy.ndarray): The node whose interactions are ordered.
        other (numpy.ndarray): The node it interacted with.
        num_other (int): How many of those there are.
        time (numpy.ndarray, optional): When. (default: :obj:`None`)
        draw (numpy.ndarray, optional): A random number per interaction.
            (default: :obj:`None`)
    """
    rank = np.empty(num_other, np.int64)
    degree = np.bincount(other, minlength=num_other)
    rank[degree.argsort(kind='stable')] = np.arange(num_other)
    keys = [rank[other], group]
    if time is not None:
        keys.insert(1, ~time)  # Reversed, and never out of range.
    if draw is not None:
        keys.insert(1, draw)
    order = np.lexsort(keys)
    pair = group[order] * num_other + other[order]
    _, first = np.unique(pair, return_index=True)
    first.sort()
    return order[first]
