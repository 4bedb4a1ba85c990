"""Watch the addresses that kernels touch in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from torch import Tensor
from triton.runtime import interpreter


@contextmanager
def within_bounds() -> Iterator[None]:
    r"""Fail if a kernel reads or writes beyond its tensors. A GPU may crash then, but
    the interpreter does not."""
    executor, builder = interpreter.GridExecutor, interpreter.InterpreterBuilder
    prepare = executor._init_args_hst
    load, store = builder.create_masked_load, builder.create_masked_store
    allowed: list[tuple[int, int]] = []

    def remember(self: Any, args: Any, kwargs: Any) -> Any:
        out = prepare(self, args, kwargs)
        storages = [x.untyped_storage() for x in out[0] if isinstance(x, Tensor)]
        allowed[:] = [(s.data_ptr(), s.data_ptr() + s.nbytes()) for s in storages]
        return out

    def check(pointers: Any, mask: Any) -> None:
        at = pointers.data[np.broadcast_to(mask.data, pointers.data.shape)]
        inside = np.zeros(at.shape, dtype=bool)
        for begin, end in allowed:
            inside |= (at >= begin) & (at < end)
        assert inside.all(), f'{(~inside).sum()} of {inside.size} values out of bounds'

    def checked_load(self: Any, pointers: Any, mask: Any, *rest: Any) -> Any:
        check(pointers, mask)
        return load(self, pointers, mask, *rest)

    def checked_store(
        self: Any, pointers: Any, value: Any, mask: Any, *rest: Any
    ) -> Any:
        check(pointers, mask)
        return store(self, pointers, value, mask, *rest)

    with (
        patch.object(executor, '_init_args_hst', remember),
        patch.object(builder, 'create_masked_load', checked_load),
        patch.object(builder, 'create_masked_store', checked_store),
    ):
        yield
