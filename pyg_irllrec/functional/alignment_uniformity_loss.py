from __future__ import annotations

import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional.info_nce import unchecked_info_nce
from pyg_irllrec.functional.softmax_loss import (
    check_batch,
    check_embeddings,
    check_pairs,
)
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import check_not_negative
from pyg_irllrec.utils.distinct import distinct


def alignment_uniformity_loss(
    user: Tensor,
    item: Tensor,
    pairs: Tensor,
    *,
    uniformity_weight: float = 1.0,
    weight: Optional[Tensor] = None,
    max_users: Optional[int] = None,
) -> Tensor:
    r"""The loss of the `"Towards Representation Alignment and Uniformity in
    Collaborative Filtering" <https://arxiv.org/abs/2206.12811>`_ paper (DirectAU,
    Equation 8): it pulls the two nodes of a pair together, and all users of a batch
    apart, as well as all its items.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, i)} \|n(\mathbf{z}_u) - n(\mathbf{z}_i)\|^2
        + \frac{\gamma}{2} \left( \ell(\mathcal{U}) + \ell(\mathcal{I}) \right),
        \qquad
        \ell(\mathcal{V}) = \log \frac{1}{|\mathcal{V}| (|\mathcal{V}| - 1)}
        \sum_{k \neq l \in \mathcal{V}} \exp(-2 \|n(\mathbf{z}_k) -
        n(\mathbf{z}_l)\|^2)

    A node that stands in several pairs counts once in :math:`\ell`, which is 0 for a
    single node. Memory is linear in the batch. Half-precision input is computed, and
    returned, in :obj:`float32`.

    Args:
        user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
        item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
        pairs (torch.Tensor): Ids of users and of items that they chose, each from zero,
            :math:`(2, B)`. A third row, such as the negatives of triplets, is not read.
        uniformity_weight (float): :math:`\gamma`. (default: :obj:`1.0`)
        weight (torch.Tensor, optional): How much each pair counts in the first term,
            :math:`(B)`, not below zero and not zero everywhere. The nodes of all pairs
            stand in the others. (default: :obj:`None`, alike)
        max_users (int, optional): How many users the pairs have at most, see
            :func:`~pyg_irllrec.functional.softmax_loss`. (default: :obj:`None`, they
            are counted)

    Raises:
        ValueError: If a shape, dtype, id or option is not as above.
    """
    check_embeddings(user, item)
    check_pairs(pairs, user.size(0), item.size(0))
    check_not_negative('uniformity_weight', uniformity_weight)
    check_batch(pairs, weight, max_users)
    return unchecked_alignment_uniformity_loss(
        user, item, pairs, uniformity_weight, weight, max_users
    )


def unchecked_alignment_uniformity_loss(
    user: Tensor,
    item: Tensor,
    pairs: Tensor,
    uniformity_weight: float,
    weight: Optional[Tensor],
    max_users: Optional[int],
) -> Tensor:
    r"""The same for callers that have checked their input."""
    max_items = None if max_users is None else min(pairs.size(1), item.size(0))
    with torch.autocast(user.device.type, enabled=False):
        left = _nodes(user, pairs[0], max_users)
        right = _nodes(item, pairs[1], max_items)
        rows = (left.x[left.place] - right.x[right.place]).square().sum(dim=1)
        loss = reduce_rows(rows, 'mean', weight)
        if uniformity_weight == 0:
            return loss
        apart = _uniformity(left) + _uniformity(right)
        return loss + uniformity_weight / 2 * apart


class _Nodes(NamedTuple):
    x: Tensor
    """The unit rows of nodes, each once."""
    place: Tensor
    """Where the node of each pair is."""
    once: Optional[Tensor]
    """One for each row but those that fill up a fixed number."""


def _nodes(x: Tensor, index: Tensor, most: Optional[int]) -> _Nodes:
    r"""The nodes in :obj:`index`, of which there are at most so many."""
    if most is None:
        nodes, place = index.unique(return_inverse=True)
        return _Nodes(unit_norm(at_least_float32(x[nodes])), place, None)
    found = distinct(index, most)
    rows = unit_norm(at_least_float32(x[found.value]))
    return _Nodes(rows, found.place, found.is_used.to(rows.dtype))


def _uniformity(nodes: _Nodes) -> Tensor:
    r""":math:`\ell` of unit rows. At the temperature 1/4 InfoNCE with themselves is
    :math:`\log \sum_l \exp(-2 \|\mathbf{x}_k - \mathbf{x}_l\|^2)`, in which a row and
    itself count 1."""
    x, once = nodes.x, nodes.once
    if once is None:
        num_rows = x.size(0)
        if num_rows == 1:
            return x.new_zeros(())
        total = _contrast(x, None).expm1().sum()
        return total.log() - math.log(num_rows * (num_rows - 1))
    number = once.sum()
    total = torch.dot(_contrast(x, once).expm1(), once)
    total = torch.where(number > 1, total, 1)  # A single one has no other.
    return total.log() - (number * (number - 1)).clamp(min=1).log()


def _contrast(x: Tensor, once: Optional[Tensor]) -> Tensor:
    return unchecked_info_nce(x, x, temperature=0.25, key_weight=once, reduction='none')
