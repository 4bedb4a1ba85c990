from __future__ import annotations

import torch
from torch import Tensor


def first_occurrence(index: Tensor) -> Tensor:
    r"""Whether no earlier element of the same row is the same. Unlike
    :meth:`torch.Tensor.unique` it has a shape that does not depend on data, so that
    nothing waits for a GPU.

    Args:
        index (torch.Tensor): Numbers, of shape :math:`(*, B)`.
    """
    value, order = index.sort(stable=True)
    first = torch.ones_like(value, dtype=torch.bool)
    first[..., 1:] = value[..., 1:] != value[..., :-1]
    return torch.zeros_like(first).scatter(-1, order, first)
