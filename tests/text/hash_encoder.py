"""An encoder with predictable vectors, which records its batches."""

from __future__ import annotations

import hashlib

import numpy as np


class HashEncoder:
    def __init__(self, width: int = 8, name: str = 'hash') -> None:
        self.width = width
        self.name = name
        self.batches: list[list[str]] = []

    def describe(self):
        return {'encoder': self.name, 'dimension': self.width, 'library': 'none 1.0'}

    def __call__(self, texts):
        self.batches.append(list(texts))
        return np.array([self.vector(text) for text in texts], dtype=np.float64)

    @property
    def texts(self):
        return [text for batch in self.batches for text in batch]

    def vector(self, text):
        digest = hashlib.sha256(f'{self.name} {text}'.encode()).digest()
        seed = int.from_bytes(digest[:4], 'big')
        return np.random.default_rng(seed).normal(size=self.width).astype(np.float32)

    def expected(self, texts):
        return np.array([self.vector(text) for text in texts])
