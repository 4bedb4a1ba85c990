r"""Support for commands that ``torchrun`` starts in several processes at once. The
first process prepares the run, and the others wait for it."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

_READY = 'pyg_irllrec/run_is_ready'
# Encoding texts may take hours. If the first process fails, torchrun ends the others.
_TIMEOUT = timedelta(days=7)


def check_torchrun(devices: int) -> None:
    r"""Raise a :class:`ValueError` if ``torchrun`` started another number of processes
    than there are devices."""
    if not _is_used():
        return
    started = int(os.environ['WORLD_SIZE'])
    if started != devices:
        raise ValueError(
            f'--devices must be {started}, the number of processes that torchrun '
            f'started, got {devices}'
        )


def wait_for_first() -> None:
    r"""Wait until the first process has prepared the run."""
    if _is_used():
        _store().wait([_READY], _TIMEOUT)


def start_others() -> None:
    r"""Signal to the other processes that the run is ready."""
    if _is_used():
        _store().set(_READY, '1')


def _is_used() -> bool:
    return 'TORCHELASTIC_RUN_ID' in os.environ


def _store() -> Any:
    # Imported here, because some builds of torch lack it.
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous('env://'))
    return store
