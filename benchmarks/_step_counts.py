"""Count the cost of a step in this process: bytes sent, operations of matrix products,
and the peak of bytes in live tensors."""

from __future__ import annotations

import sys
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Sent = dict[str, float]

# A call is counted for the innermost caller in one of these files.
CALLERS = {
    'sharded_graph.py': 'halo',
    'sharded_info_nce.py': 'contrast',
    'sharded_light_gcn.py': 'projector',
}


@contextmanager
def counted_bytes() -> Iterator[Sent]:
    """Count the bytes sent to other ranks by caller. An all_reduce counts as a ring."""
    sent: Sent = defaultdict(float)
    exchange, reduce = dist.all_to_all_single, dist.all_reduce

    def count_exchange(out: Tensor, x: Tensor, *splits: Any, **given: Any) -> Any:
        group = given['group']
        if len(splits) == 2:
            rows = x.size(0) - splits[1][group.rank()]
        else:
            rows = x.size(0) * (1 - 1 / group.size())
        size = rows * x[:1].numel() * x.itemsize if rows else 0
        name = _caller()
        sent['rows' if name == 'projector' else name] += size
        return exchange(out, x, *splits, **given)

    def count_reduce(x: Tensor, *given: Any, **options: Any) -> Any:
        share = 1 - 1 / options['group'].size()
        sent[_caller()] += 2 * share * x.numel() * x.itemsize
        return reduce(x, *given, **options)

    dist.all_to_all_single, dist.all_reduce = count_exchange, count_reduce
    try:
        yield sent
    finally:
        dist.all_to_all_single, dist.all_reduce = exchange, reduce


def _caller() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename.rpartition('/')[2]
        if name in CALLERS:
            return CALLERS[name]
        frame = frame.f_back  # type: ignore[assignment]
    return 'rows'


class StepCounter(TorchDispatchMode):
    """Count the operations of matrix products by term, and the peak of bytes in the
    tensors that are created while it is active."""

    def __init__(self, text_width: int) -> None:
        super().__init__()
        self.text_width = text_width
        self.flops: dict[str, float] = defaultdict(float)
        self.seen: set[int] = set()
        self.live = self.peak = 0

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        if name in PRODUCTS:
            self._count(*PRODUCTS[name](args))
        given = {_storage(x) for x in tree_leaves((args, kwargs)) if _is_dense(x)}
        for x in tree_leaves(out):
            if _is_dense(x) and _storage(x) not in given:
                self._watch(x.untyped_storage())
        return out

    def _count(self, a: Tensor, b: Tensor) -> None:
        if a.layout is torch.sparse_csr:
            self.flops['propagation'] += 2 * a.values().numel() * b.size(1)
            return
        rows, inner, columns = *a.shape, b.size(1)
        sizes = rows, inner, columns
        term = 'projection' if self.text_width in sizes else 'contrast'
        self.flops[term] += 2 * rows * inner * columns

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.seen:
            return
        self.seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self.seen.discard(key)
        self.live -= size


PRODUCTS: dict[str, Callable[[Any], tuple[Tensor, Tensor]]] = {
    'mm': lambda args: (args[0], args[1]),
    'addmm': lambda args: (args[1], args[2]),
    'addmm_': lambda args: (args[1], args[2]),
}


def _is_dense(x: object) -> bool:
    return isinstance(x, Tensor) and x.layout is torch.strided


def _storage(x: Tensor) -> int:
    return x.untyped_storage()._cdata
