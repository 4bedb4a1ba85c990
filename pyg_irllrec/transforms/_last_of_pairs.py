from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor


def is_increasing(pair: Tensor) -> bool:
    r"""Whether pairs are sorted and distinct. Those of a dataset usually are: a sort,
    which takes several times their memory, can be skipped."""
    return bool((pair[1:] > pair[:-1]).all())


def last_of_pairs(
    pair: Tensor, time: Optional[Tensor]
) -> tuple[Tensor, Union[Tensor, slice]]:
    r"""Return the distinct pairs, sorted, and the index of the last interaction of
    each: the latest by time, if given, and the last by position among equal times.

    Args:
        pair (torch.Tensor): A number per interaction that identifies its user and
            item.
        time (torch.Tensor, optional): The time of each interaction.
    """
    if is_increasing(pair):
        return pair, slice(None)
    value, order = pair.sort(stable=True)
    same = value[1:] == value[:-1]
    if not bool(same.any()):
        return value, order
    last = torch.ones_like(value, dtype=torch.bool)
    last[:-1] = ~same
    if time is not None:
        repeated = ~last
        repeated[1:] |= same
        part = order[repeated]
        part = part[time[part].argsort(stable=True)]
        order[repeated] = part[pair[part].argsort(stable=True)]
    return value[last], order[last]
