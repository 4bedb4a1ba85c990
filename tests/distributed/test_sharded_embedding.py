from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed import ShardedEmbedding
from tests.distributed.ranks import Ranks, own_share

SIZE = (11, 3)
IDS = torch.tensor([10, 0, 3, 3, 7, 10, 5, 1, 10])


def table() -> Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(0))


def sharded(mesh: DeviceMesh, values: Tensor) -> ShardedEmbedding:
    embedding = ShardedEmbedding(*SIZE, mesh)
    ranges, rank = embedding.ranges, mesh.get_rank()
    with torch.no_grad():
        embedding.own.copy_(values[ranges.start(rank) :][: ranges.count(rank)])
    return embedding


def train(mesh: DeviceMesh, steps: int, folder: Path, load: bool) -> dict[str, Tensor]:
    """Fetch rows, and steps; saves where it does not load."""
    embedding = sharded(mesh, table())
    optimizer = torch.optim.Adam(embedding.parameters(), lr=0.1)
    if load:
        model, state = get_state_dict(embedding, optimizer)
        dcp.load({'model': model, 'optimizer': state}, checkpoint_id=folder)
        given = {'model_state_dict': model, 'optim_state_dict': state}
        set_state_dict(embedding, optimizer, **given)
    for _ in range(steps):
        optimizer.zero_grad()
        rows = embedding(own_share(mesh, IDS))
        rows.pow(3).sum().backward()
        optimizer.step()
    if not load:
        model, state = get_state_dict(embedding, optimizer)
        dcp.save({'model': model, 'optimizer': state}, checkpoint_id=folder)
    return {'rows': rows.detach(), 'weight': embedding.weight.full_tensor().detach()}


def train_whole(steps: int) -> tuple[Tensor, Tensor]:
    weight = table().requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        rows = weight[IDS]
        rows.pow(3).sum().backward()
        optimizer.step()
    return rows.detach(), weight.detach()


@pytest.mark.parametrize('num_ranks', [1, 2, 3, 4])
def test_it_is_one_table(ranks: Ranks, num_ranks: int, tmp_path: Path) -> None:
    rows, weight = train_whole(3)
    found = ranks(num_ranks, train, 3, tmp_path, False)
    for rank, each in enumerate(found):
        torch.testing.assert_close(each['rows'], rows[rank::num_ranks])
        torch.testing.assert_close(each['weight'], weight)


def test_another_number_of_ranks_goes_on(ranks: Ranks, tmp_path: Path) -> None:
    ranks(2, train, 2, tmp_path, False)
    _, weight = train_whole(4)
    for each in ranks(3, train, 2, tmp_path, True):
        torch.testing.assert_close(each['weight'], weight)


def draw(mesh: DeviceMesh) -> Tensor:
    generator = torch.Generator().manual_seed(mesh.get_rank())
    embedding = ShardedEmbedding(100, 4, mesh, generator=generator)
    return embedding.weight.full_tensor().detach()


def test_it_is_drawn_as_xavier_draws_the_whole(ranks: Ranks) -> None:
    drawn, again = ranks(2, draw)
    assert drawn.equal(again)
    bound = (6 / 104) ** 0.5
    assert 0.95 * bound < drawn.abs().max() <= bound
    assert len(drawn.unique()) > 390


def bad(mesh: DeviceMesh) -> list[str]:
    calls = (
        lambda: ShardedEmbedding(0, 4, mesh),
        lambda: ShardedEmbedding(4, 0, mesh),
        lambda: ShardedEmbedding(4, 4, None),
        lambda: ShardedEmbedding(4, 4, mesh, generator=0),
        lambda: ShardedEmbedding(4, 4, mesh)(torch.tensor([4])),
    )
    found = []
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call()
        found.append(str(caught.value).split("'")[1])
    return found


def test_errors_name_the_argument(ranks: Ranks) -> None:
    expected = ['num_rows', 'dim', 'mesh', 'generator', 'ids']
    assert ranks(1, bad)[0] == expected
