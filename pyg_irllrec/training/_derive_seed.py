from __future__ import annotations

import hashlib


def derive_seed(seed: int, epoch: int, purpose: str) -> int:
    r"""Return a seed for an epoch and a purpose. Similar arguments give unrelated
    random streams."""
    digest = hashlib.sha256(f'{seed}/{epoch}/{purpose}'.encode()).digest()
    return int.from_bytes(digest[:8], 'little') >> 1
