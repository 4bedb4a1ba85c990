from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed._row_exchange import gather_sizes, send_rows
from pyg_irllrec.distributed._row_ranges import check_mesh
from pyg_irllrec.functional import unit_norm
from pyg_irllrec.functional._kernels.info_nce_moments import (
    LEAST_TEMPERATURE,
    normal_log_sum_exp,
)
from pyg_irllrec.functional._unit import unit, unit_backward
from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.utils.checks import (
    check_choice,
    check_matrix,
    check_not_below,
    check_same_shape,
)

# Keys are processed in parts of this many rows, which bounds temporary tensors.
ROWS = 2**14


def sharded_info_nce(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor] = None,
    *,
    mesh: DeviceMesh,
    temperature: float = 1.0,
    impl: str = 'ring',
) -> Tensor:
    r"""Compute this rank's share of :func:`~pyg_irllrec.functional.info_nce` over the
    rows and the keys of all ranks. The shares add up to the mean over all rows, and
    their gradients to its gradient. No rank receives the keys of another. All ranks
    must call it together.

    Args:
        query (torch.Tensor): The rows of this rank.
        key (torch.Tensor): The positive of each row.
        keys (torch.Tensor, optional): The keys that this rank adds to the denominator.
            (default: :obj:`None`, :obj:`key`: the denominator is over the batch of all
            ranks)
        mesh (DeviceMesh): A one-dimensional mesh of the ranks.
        temperature (float): The temperature :math:`\tau`. (default: :obj:`1.0`)
        impl (str): The implementation. (default: :obj:`"ring"`)

            - :obj:`"ring"` is exact. The queries travel from rank to rank, and each
              rank adds its keys to their log-sum-exp. The backward pass is a second
              round.
            - :obj:`"moments"` is approximate, as in
              :func:`~pyg_irllrec.functional.info_nce`. Ranks exchange only the number
              of keys, their sum and the sum of their outer products:
              :math:`d^2 + d + 1` numbers.

    Shapes:
        - **query**, **key:** :math:`(B, d)`, **keys:** :math:`(C, d)`; a rank may have
          no rows
        - **output:** a scalar

    Raises:
        ValueError: If a shape, dtype or option is not as above, or no rank has rows.

    Example:
        >>> import torch
        >>> import torch.distributed as dist
        >>> from torch.distributed.device_mesh import init_device_mesh
        >>> from pyg_irllrec.distributed import sharded_info_nce
        >>> store = dist.HashStore()  # torchrun: init_process_group('gloo') suffices
        >>> dist.init_process_group('gloo', store=store, rank=0, world_size=1)
        >>> mesh = init_device_mesh('cpu', (1,))
        >>> query, key = torch.randn(4, 16), torch.randn(4, 16)
        >>> sharded_info_nce(query, key, mesh=mesh, temperature=0.2).shape
        torch.Size([])
        >>> dist.destroy_process_group()
    """
    candidates = key if keys is None else keys
    for name, value in (('query', query), ('key', key), ('keys', candidates)):
        check_matrix(name, value, may_be_empty=True)
    check_same_shape('key', key, 'query', query)
    if candidates.size(1) != query.size(1):
        raise ValueError(
            f"'keys' must be as wide as 'query', {query.size(1)}, got "
            f'{candidates.size(1)}'
        )
    check_mesh(mesh)
    check_temperature('temperature', temperature)
    check_choice('impl', impl, ('ring', 'moments'))
    group = mesh.get_group()
    sizes = gather_sizes(query.size(0), query.device, group)
    if sum(sizes) == 0:
        raise ValueError("'query' must have at least one row on some rank, got none")
    query, key = unit_norm(query), unit_norm(key)
    positive = (query * key).sum(dim=-1) / temperature
    lse: Tensor
    if impl == 'ring':
        candidates = unit_norm(candidates)
        lse = _RingLogSumExp.apply(  # type: ignore[no-untyped-call]
            query / temperature, candidates, sizes, group
        )
    else:
        lse = _log_sum_exp(query, candidates, temperature, group)
    return (lse - positive).sum() / sum(sizes)


class _RingLogSumExp(torch.autograd.Function):
    r"""The log-sum-exp over the keys of all ranks. Queries travel rather than keys, as
    there are usually fewer of them."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        sizes: list[int],
        group: dist.ProcessGroup,
    ) -> Tensor:
        def add(packet: Tensor) -> None:
            for part in _parts(packet, keys):
                logits = part[:, :-1] @ keys.t()
                part[:, -1] = part[:, -1].logaddexp(logits.logsumexp(dim=1))

        nothing = query.new_full((query.size(0), 1), -torch.inf)
        packet = torch.cat([query, nothing], dim=1)
        lse = _travel(packet, add, sizes, group)[:, -1].contiguous()
        ctx.save_for_backward(query, keys, lse)
        ctx.ranks = sizes, group
        return lse

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        query, keys, lse = ctx.saved_tensors
        dim = query.size(1)
        grad_keys = torch.zeros_like(keys)

        def add(packet: Tensor) -> None:
            for part in _parts(packet, keys):
                x = part[:, :dim]
                weight = (x @ keys.t()).sub_(part[:, dim, None]).exp_()
                weight.mul_(part[:, dim + 1, None])
                part[:, dim + 2 :] += weight @ keys
                grad_keys.addmm_(weight.t(), x)

        columns = query, lse[:, None], grad[:, None], torch.zeros_like(query)
        packet = _travel(torch.cat(columns, dim=1), add, *ctx.ranks)
        return packet[:, dim + 2 :], grad_keys, None, None


def _travel(
    packet: Tensor,
    visit: Callable[[Tensor], None],
    sizes: list[int],
    group: dist.ProcessGroup,
) -> Tensor:
    r"""Pass each rank's packet around the ring of ranks until it is back home."""
    rank, num_ranks = group.rank(), group.size()
    for hop in range(num_ranks):
        visit(packet)
        send, receive = [0] * num_ranks, [0] * num_ranks
        send[(rank + 1) % num_ranks] = packet.size(0)
        receive[rank - 1] = sizes[(rank - hop - 1) % num_ranks]
        packet = send_rows(packet, send, receive, group)
    return packet


def _parts(packet: Tensor, keys: Tensor) -> tuple[Tensor, ...]:
    r"""Split a packet into parts whose logits fit into memory."""
    size = 2**22 if keys.is_cpu else 2**26
    parts: tuple[Tensor, ...] = packet.split(max(16, size // max(1, keys.size(0))))
    return parts


def _log_sum_exp(
    query: Tensor, keys: Tensor, temperature: float, group: dist.ProcessGroup
) -> Tensor:
    r"""Return the log-sum-exp under a normal distribution of all keys."""
    least = LEAST_TEMPERATURE['moments']
    check_not_below("'temperature' with impl='moments'", temperature, least)
    dim = query.size(1)
    moments: Tensor = _Moments.apply(keys, group)  # type: ignore[no-untyped-call]
    count, first, second = moments.split([1, dim, dim * dim])
    second = second.view(dim, dim)
    return normal_log_sum_exp(query, count, first, second, temperature)


class _Moments(torch.autograd.Function):
    r"""The number of keys of all ranks, the sum of the unit keys, and the sum of their
    outer products. The unit keys are recomputed in the backward pass, not saved."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor, group: dist.ProcessGroup) -> Tensor:
        dim = keys.size(1)
        moments = keys.new_zeros(1 + dim + dim * dim)
        count, first, second = moments.split([1, dim, dim * dim])
        count += keys.size(0)
        for part in keys.split(ROWS):
            x, _ = unit(part)
            first += x.sum(dim=0)
            second.view(dim, dim).addmm_(x.t(), x)
        dist.all_reduce(moments, group=group)
        ctx.group = group
        ctx.save_for_backward(keys)
        return moments

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (keys,) = ctx.saved_tensors
        dim = keys.size(1)
        grad = grad.clone()  # So far the gradient of this rank's rows alone.
        dist.all_reduce(grad, group=ctx.group)
        _, first, second = grad.split([1, dim, dim * dim])
        both = second.view(dim, dim) + second.view(dim, dim).t()
        out = torch.empty_like(keys)
        for part, grad_part in zip(keys.split(ROWS), out.split(ROWS)):
            x, inverse = unit(part)
            torch.addmm(first, x, both, out=grad_part)
            unit_backward(grad_part, x, inverse)
        return out, None
