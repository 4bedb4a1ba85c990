from __future__ import annotations

import pytest
import torch
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.training import RankingLoader, RankingMetrics, evaluate
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.ranks import Ranks

SIZE = 7  # Blocks of 2: the last of four ranks has one row.


def gathered(mesh: DeviceMesh, num_rows: int, dtype: torch.dtype):
    ranks = Ranks(mesh.get_group())
    x = torch.arange(3.0 * num_rows, dtype=dtype).view(num_rows, 3).requires_grad_()
    own = ranks.rows(num_rows)
    out = ranks.gather(x[own], num_rows)
    weight = torch.arange(1.0, num_rows + 1, dtype=dtype).unsqueeze(1)
    ((ranks.rank + 1) * weight * out).sum().backward()
    total = ranks.sum(x.detach()[own].sum().requires_grad_())
    return own, out.detach(), x.grad, total.detach()


@pytest.mark.parametrize('num_rows', [SIZE, 2])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_rows_of_all_ranks_and_their_gradients(ranks, num_rows, dtype):
    x = torch.arange(3.0 * num_rows, dtype=dtype).view(num_rows, 3)
    grad = torch.zeros_like(x)
    for own, out, own_grad, total in ranks(4, gathered, num_rows, dtype):
        assert out.dtype == dtype and torch.equal(out, x)
        assert torch.equal(total, x.sum())
        assert own_grad[: own.start].count_nonzero() == 0
        grad += own_grad
    expected = 10 * torch.arange(1.0, num_rows + 1, dtype=dtype).unsqueeze(1)
    assert torch.equal(grad, expected.expand_as(x))


def agreement(mesh: DeviceMesh) -> list[bool]:
    ranks = Ranks(mesh.get_group())
    same, other = torch.tensor([4, 2]), torch.tensor([4, 2 + ranks.rank])
    return [ranks.agree(same), ranks.agree(other)]


def test_agree(ranks):
    assert ranks(3, agreement) == [[True, False]] * 3


def measured(mesh: DeviceMesh, num_users: int) -> dict[str, float]:
    ranks = Ranks(mesh.get_group())
    user, item, label, exclude = draw(num_users)
    metrics = RankingMetrics((2,), ('recall', 'coverage', 'popularity'), exclude)
    for batch in RankingLoader(label, exclude, 2)._share(ranks.rank, ranks.size):
        metrics.rank(user, item, batch)
    metrics.compute()  # The cached value of the rank is discarded.
    metrics.reduce(ranks)
    return {name: float(value) for name, value in metrics.compute().items()}


def draw(num_users: int):
    torch.manual_seed(0)
    users = torch.arange(num_users).repeat(2)
    items = torch.stack([torch.randperm(9)[:4] for _ in range(num_users)])
    held = torch.stack([users, items[:, :2].t().flatten()])
    known = torch.stack([users, items[:, 2:].t().flatten()])
    sizes = num_users, 9
    return (
        *(torch.randn(size, 4) for size in sizes),
        *(UserItems(each, *sizes) for each in (held, known)),
    )


@pytest.mark.parametrize('num_users', [11, 2])
def test_metrics_of_ranks_equal_those_of_all_users(ranks, num_users):
    expected = evaluate(
        *draw(num_users), (2,), metrics=('recall', 'coverage', 'popularity')
    )
    for found in ranks(3, measured, num_users):
        assert found == pytest.approx(expected)
