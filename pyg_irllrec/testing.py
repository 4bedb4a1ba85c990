r"""Helpers for tests of models: random draws that are known beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor


@contextmanager
def replay_draws(draws: Sequence[Tensor]) -> Iterator[None]:
    r"""Lets :func:`torch.rand` and :func:`torch.randn` return :obj:`draws`, one
    after the other, so that a random model can be compared with recorded numbers.

    Raises:
        AssertionError: If a draw of another shape is asked for, one too many, or
            if one is left over.
    """
    rest = list(draws)

    def next_draw(*size: Any, **kwargs: Any) -> Tensor:
        shape = torch.Size(size[0] if isinstance(size[0], Sequence) else size)
        assert rest, f'no draw is left for one of shape {tuple(shape)}'
        draw = rest.pop(0)
        assert draw.shape == shape, f'drew {tuple(shape)}, not {tuple(draw.shape)}'
        return draw.to(dtype=kwargs.get('dtype'), device=kwargs.get('device'))

    with patch('torch.rand', next_draw), patch('torch.randn', next_draw):
        yield
    assert not rest, f'{len(rest)} draws were not used'
