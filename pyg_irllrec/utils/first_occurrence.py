from __future__ import annotations

import torch
from torch import Tensor


def first_occurrence(index: Tensor) -> Tensor:
    r"""Whether each element is the first of its value in its row. Unlike
    :meth:`torch.Tensor.unique`, the shape of the result does not depend on the data, so
    that nothing waits for a GPU.

    Args:
        index (torch.Tensor): The numbers, of shape :math:`(*, B)`.
    """
    value, order = index.sort(stable=True)
    first = torch.ones_like(value, dtype=torch.bool)
    first[..., 1:] = value[..., 1:] != value[..., :-1]
    return torch.zeros_like(first).scatter(-1, order, first)
