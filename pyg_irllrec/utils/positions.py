from __future__ import annotations

import torch
from torch import Tensor


def positions(index: Tensor, ids: Tensor) -> Tensor:
    r"""The position in :obj:`ids` of each element of :obj:`index`, or -1 if it is not
    there. :obj:`ids` must be sorted and distinct."""
    if ids.numel() == 0:
        return torch.full_like(index, -1, dtype=torch.long)
    ids, index = ids.long(), index.long()
    first, last = int(ids[0]), int(ids[-1])
    if last - first > 8 * (ids.numel() + index.numel()):
        at = torch.searchsorted(ids, index).clamp(max=ids.numel() - 1)
        return at.where(ids[at] == index, -1)
    # Dense ids fit into a table, which is ten times as fast.
    table = torch.full((last - first + 1,), -1, device=ids.device)
    table[ids - first] = torch.arange(ids.numel(), device=ids.device)
    outside = (index < first) | (index > last)
    at = (index - first).clamp_(0, last - first)
    return table[at].masked_fill_(outside, -1)
