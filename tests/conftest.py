from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pyg_irllrec.utils import bipartite_edge_index

GOLDENS = Path(__file__).parent / 'data' / 'goldens'
SHARED = Path(__file__).parents[2] / 'shared'
NUM_USERS, NUM_ITEMS, DIM = 5, 7, 4


def pytest_configure() -> None:
    # Said once a process by torch, wherever the first sparse tensor is made.
    warnings.filterwarnings('ignore', message='Sparse')


@pytest.fixture
def interactions() -> Tensor:
    """Every user has one; item 6 has none; users 0 and 1 share item 0."""
    user = [0, 0, 0, 1, 1, 2, 3, 3, 4]
    item = [0, 1, 2, 0, 3, 4, 1, 5, 2]
    return torch.tensor([user, item])


@pytest.fixture
def edge_index(interactions: Tensor) -> Tensor:
    return bipartite_edge_index(interactions, NUM_USERS, NUM_ITEMS)


@pytest.fixture
def fresh_compiler() -> None:
    """Dynamo gives up on a function that it has compiled too often."""
    torch._dynamo.reset()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """One process that torch takes for a distributed job."""
    init = f'file://{tmp_path / "process_group"}'
    torch.distributed.init_process_group('gloo', init, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture
def amazon_root() -> Path:
    root = SHARED / 'data' / 'irllrec'
    if not root.is_dir():
        pytest.skip('the real data is not here')
    return root
