from __future__ import annotations

from itertools import chain
from typing import Optional

import torch

from pyg_irllrec.nn import IRLLRec, Recommender
from pyg_irllrec.training._fixed_ranking import find_unweighted


def find_uncapturable(
    model: Recommender, optimizer: torch.optim.Optimizer, pads: bool
) -> Optional[str]:
    r"""Return the cause for which a step cannot be captured, if there is one that can
    be found without running the step.

    Args:
        model (Recommender): The model.
        optimizer (torch.optim.Optimizer): Its optimizer.
        pads (bool): Whether batches are padded to one size.
    """
    if not _is_capturable(optimizer):
        name = type(optimizer).__name__
        return f'{name} is neither fused nor capturable: pass fused=True to it'
    if isinstance(model, IRLLRec) and model.text_storage == 'host':
        return "texts are read on the CPU, because text_storage is 'host'"
    if pads and (cause := find_unweighted(model)):
        return (
            f'{cause} gives all triplets of a batch the same weight, and batches of '
            'whole users differ in size: use SoftmaxLoss, DirectAULoss or '
            "batch_by='interaction'"
        )
    device = model.device
    for name, value in chain(model.named_parameters(), model.named_buffers()):
        if value.device != device:
            return f"'{name}' is on {value.device}, not on {device}"
    return None


def _is_capturable(optimizer: torch.optim.Optimizer) -> bool:
    return all(
        group.get('fused') or group.get('capturable')
        for group in optimizer.param_groups
    )
