from __future__ import annotations

from typing import Union

import torch

from pyg_irllrec.utils.argument_checks import check_name


def parse_device(device: Union[str, torch.device]) -> torch.device:
    r"""Return the torch device of a name.

    Args:
        device (str or torch.device): :obj:`"auto"` (a GPU if there is one),
            :obj:`"cpu"`, :obj:`"cuda"` or :obj:`"cuda:N"`.

    Raises:
        ValueError: If the name is unknown or there is no such device.

    Example:
        >>> from pyg_irllrec.training import parse_device
        >>> parse_device('cpu')
        device(type='cpu')
    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    allowed = "'auto', 'cpu', 'cuda' or 'cuda:N'"
    try:
        check_name('device', device := str(device))
        target = torch.device(device)
    except (RuntimeError, ValueError):
        raise ValueError(f"'device' must be {allowed}, got {device!r}") from None
    if target.type not in ('cpu', 'cuda'):
        raise ValueError(f"'device' must be {allowed}, got {device!r}")
    if target.type == 'cuda' and (target.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"'device' must exist, got {device!r}, but this machine has "
            f'{torch.cuda.device_count()} CUDA devices'
        )
    return target
