from __future__ import annotations

from typing import Union

import torch

from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.typing import PathLike


def load(path: PathLike, device: Union[str, torch.device] = 'cpu') -> Bundle:
    r"""Reads a bundle that :meth:`Bundle.save` has written."""
    raise NotImplementedError
