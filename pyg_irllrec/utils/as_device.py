from __future__ import annotations

import torch


def as_device(device: object) -> torch.device:
    r"""A device of this machine, with its number where it has one.

    Raises:
        ValueError: If there is no such device.
    """
    try:
        found: torch.device = torch.empty(0, device=device).device  # type: ignore[call-overload]
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(
            f"'device' must be one of this machine, such as 'cpu', got {device!r}: "
            f'{str(error).splitlines()[0]}'
        ) from None
    if found.type == 'meta':
        raise ValueError("'device' must be one that holds values, got 'meta'")
    return found
