from __future__ import annotations

from itertools import chain
from typing import Optional

import torch

from pyg_irllrec.nn import IRLLRec, Recommender
from pyg_irllrec.training._fixed_ranking import find_unweighted


def find_uncapturable(
    model: Recommender, optimizer: torch.optim.Optimizer, fills_up: bool
) -> Optional[str]:
    r"""What shows, without running it, that a step cannot be captured.

    Args:
        model (Recommender): The model.
        optimizer (torch.optim.Optimizer): Its optimizer.
        fills_up (bool): Whether batches are filled up to one size.
    """
    if not _is_capturable(optimizer):
        name = type(optimizer).__name__
        return f'{name} is neither fused nor capturable: pass fused=True to it'
    if isinstance(model, IRLLRec) and model.text_storage == 'host':
        return "texts are read on the CPU, with text_storage='host'"
    if fills_up and (cause := find_unweighted(model)):
        return (
            f'{cause} counts all triplets of a batch alike, and batches of whole '
            'users differ in size: take SoftmaxLoss, DirectAULoss or '
            "batch_by='interaction'"
        )
    device = model.device
    for name, value in chain(model.named_parameters(), model.named_buffers()):
        if value.device != device:
            return f"'{name}' lies on {value.device}, and not on {device}"
    return None


def _is_capturable(optimizer: torch.optim.Optimizer) -> bool:
    return all(
        group.get('fused') or group.get('capturable')
        for group in optimizer.param_groups
    )
