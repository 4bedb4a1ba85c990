r"""The graphs of the speed benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.datasets import IRLLRecDataset


class Interactions(NamedTuple):
    """User and item ids of shape (2, E), and the numbers of users and items."""

    pairs: Tensor
    num_users: int
    num_items: int

    @property
    def num_nodes(self) -> int:
        return self.num_users + self.num_items


def amazon(root: Optional[Path], scale: float = 1.0) -> Interactions:
    """The authors' amazon training graph if their folder is given, else a random
    graph of its size (times scale) with a long tail."""
    if root is not None:
        data = IRLLRecDataset(str(root), 'amazon')[0]
        pairs = data['user', 'rates', 'item'].edge_index
        return Interactions(pairs, data['user'].num_nodes, data['item'].num_nodes)
    sizes = (int(size * scale) for size in (11_000, 9_332, 120_464))
    return long_tailed(*sizes)


def long_tailed(
    num_users: int, num_items: int, num_pairs: int, seed: int = 0
) -> Interactions:
    """Distinct random pairs. Ids are powers of uniform draws: low ids are popular."""
    generator = torch.Generator().manual_seed(seed)

    def draw(number: int, high: int, power: float) -> Tensor:
        uniform = torch.rand(number, generator=generator, dtype=torch.float64)
        return (uniform.pow(power) * high).long().clamp_(max=high - 1)

    number = int(num_pairs * 1.3)  # Some for the duplicates, which are removed.
    key = draw(number, num_users, 1.5) * num_items + draw(number, num_items, 2.0)
    key = key.unique()
    key = (
        key[torch.randperm(key.numel(), generator=generator)[:num_pairs]].sort().values
    )
    return Interactions(
        torch.stack([key // num_items, key % num_items]), num_users, num_items
    )
