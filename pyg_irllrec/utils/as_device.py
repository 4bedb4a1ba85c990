from __future__ import annotations

import torch


def as_device(device: object) -> torch.device:
    r"""Convert :obj:`device` to a device of this machine, with its index if it has one.

    Raises:
        ValueError: If there is no such device.
    """
    try:
        found: torch.device = torch.empty(0, device=device).device  # type: ignore[call-overload]
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(
            "'device' must be available on this machine, such as 'cpu', got "
            f'{device!r}: {str(error).splitlines()[0]}'
        ) from None
    if found.type == 'meta':
        raise ValueError("'device' must be able to store values, got 'meta'")
    return found
