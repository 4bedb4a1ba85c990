from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

import pytest

from tests.distributed.ranks import Ranks


@pytest.fixture(scope='session')
def ranks() -> Iterator[Ranks]:
    """Four processes that serve all tests, forked from one that has imported torch."""
    context = get_context('forkserver')
    context.set_forkserver_preload(['tests.distributed.ranks'])
    with ExitStack() as stack:
        pools = [ProcessPoolExecutor(1, mp_context=context) for _ in range(4)]
        yield Ranks([stack.enter_context(pool) for pool in pools])
