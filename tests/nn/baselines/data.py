"""Interactions of a few users; one user and one item have none."""

from __future__ import annotations

import torch

from pyg_irllrec.utils import UserItems

USERS, ITEMS = 40, 12


def interactions(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    likes = torch.rand(USERS, ITEMS, generator=generator) < 0.3
    likes[-1], likes[:, -1] = False, False
    return likes.nonzero().t()


PAIRS = interactions()
X = torch.zeros(USERS, ITEMS).index_put((PAIRS[0], PAIRS[1]), torch.tensor(1.0))
TRAIN = UserItems(PAIRS[:, ::2], USERS, ITEMS)
VAL = UserItems(PAIRS[:, 1::2], USERS, ITEMS)
EVERYONE = torch.arange(USERS)
