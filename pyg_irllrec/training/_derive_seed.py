from __future__ import annotations

import hashlib


def derive_seed(seed: int, epoch: int, purpose: str) -> int:
    r"""A seed of its own for every epoch and purpose; close ones do not give close
    streams."""
    digest = hashlib.sha256(f'{seed}/{epoch}/{purpose}'.encode()).digest()
    return int.from_bytes(digest[:8], 'little') >> 1
