r"""The dtype in which sums and losses are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    r"""Convert half precision to :obj:`float32`; leave wider types unchanged."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def widened(x: Tensor) -> Tensor:
    r"""Convert half precision to :obj:`float32` under autocast only: a model that is in
    half precision as a whole stays in half precision."""
    if torch.is_autocast_enabled(x.device.type):
        return at_least_float32(x)
    return x
