from __future__ import annotations

from typing import Optional

import pytest
import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed import sharded_info_nce
from pyg_irllrec.functional import info_nce
from tests.distributed.ranks import Ranks, own_share


def inputs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 4, generator=generator) for n in (6, 6, 17)]


def share(
    mesh: DeviceMesh, has_keys: bool, impl: str, rows: Optional[int]
) -> list[Tensor]:
    query, key, keys = inputs()
    given = [own_share(mesh, x[:rows]) for x in (query, key)]
    given += [own_share(mesh, keys)] if has_keys else []
    given = [x.requires_grad_() for x in given]
    loss = sharded_info_nce(*given, mesh=mesh, temperature=0.3, impl=impl)
    (2 * loss).backward()
    return [loss.detach(), *(x.grad for x in given)]


@pytest.mark.parametrize('impl', ['ring', 'moments'])
@pytest.mark.parametrize('num_ranks', [1, 2, 3, 4])
def test_shares_add_up(ranks: Ranks, num_ranks: int, impl: str) -> None:
    for has_keys, rows in ((False, None), (True, None), (True, 2)):
        query, key, keys = inputs()
        given = [query[:rows], key[:rows]] + ([keys] if has_keys else [])
        given = [x.requires_grad_() for x in given]
        exact = impl if impl == 'moments' else 'eager'
        loss = info_nce(*given, temperature=0.3, impl=exact)
        (2 * loss).backward()
        found = ranks(num_ranks, share, has_keys, impl, rows)
        torch.testing.assert_close(sum(each[0] for each in found), loss.detach())
        for place, x in enumerate(given, start=1):
            grad = torch.empty_like(x)
            for rank, each in enumerate(found):
                grad[rank::num_ranks] = each[place]
            torch.testing.assert_close(grad, x.grad, rtol=1e-5, atol=1e-6)


def low(mesh: DeviceMesh, impl: str) -> Tensor:
    query, key, keys = (own_share(mesh, x) for x in inputs())
    return sharded_info_nce(
        query, key, keys, mesh=mesh, temperature=1e-3, impl=impl
    ).detach()


def test_low_temperatures(ranks: Ranks) -> None:
    loss = info_nce(*inputs(), temperature=1e-3, impl='eager')
    torch.testing.assert_close(sum(ranks(2, low, 'ring')), loss)
    with pytest.raises(ValueError, match="'temperature' with impl='moments'"):
        ranks(1, low, 'moments')


def bad(mesh: DeviceMesh) -> list[str]:
    x, wide = torch.ones(3, 4), torch.ones(3, 5)
    calls = (
        lambda: sharded_info_nce(x, wide, mesh=mesh),
        lambda: sharded_info_nce(x, x, wide, mesh=mesh),
        lambda: sharded_info_nce(x, x, mesh=None),
        lambda: sharded_info_nce(x, x, mesh=mesh, temperature=0.0),
        lambda: sharded_info_nce(x, x, mesh=mesh, impl='eager'),
    )
    found = []
    for call in calls:
        with pytest.raises(ValueError) as caught:
            call()
        found.append(str(caught.value).split("'")[1])
    return found


def test_errors_name_the_argument(ranks: Ranks) -> None:
    expected = ['key', 'keys', 'mesh', 'temperature', 'impl']
    assert ranks(1, bad)[0] == expected
