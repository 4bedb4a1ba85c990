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
    Equation 8). It pulls the user and the item of each pair together, and pushes all
    users of the batch apart from each other, and all its items.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, i)} \|n(\mathbf{z}_u) - n(\mathbf{z}_i)\|^2
        + \frac{\gamma}{2} \left( \ell(\mathcal{U}) + \ell(\mathcal{I}) \right),
        \qquad
        \ell(\mathcal{V}) = \log \frac{1}{|\mathcal{V}| (|\mathcal{V}| - 1)}
        \sum_{k \neq l \in \mathcal{V}} \exp(-2 \|n(\mathbf{z}_k) -
        n(\mathbf{z}_l)\|^2)

    A node in several pairs counts once in :math:`\ell`, which is 0 for a single node.
    Memory is linear in the batch size. Half-precision input is computed and returned
    in :obj:`float32`.

    Args:
        user (torch.Tensor): The embeddings of all users, of shape :math:`(U, d)`.
        item (torch.Tensor): The embeddings of all items, of shape :math:`(I, d)`.
        pairs (torch.Tensor): User ids and the ids of the items that they chose, both
            zero-based, of shape :math:`(2, B)`. A third row, such as the negatives of
            triplets, is ignored.
        uniformity_weight (float): The weight :math:`\gamma` of the uniformity terms.
            (default: :obj:`1.0`)
        weight (torch.Tensor, optional): The weight of each pair in the first term, of
            shape :math:`(B)`: at least 0, and not 0 everywhere. The uniformity terms
            ignore it. (default: :obj:`None`, all equal)
        max_users (int, optional): An upper bound on the number of distinct users in
            :obj:`pairs`, see :func:`~pyg_irllrec.functional.softmax_loss`.
            (default: :obj:`None`, count them)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import alignment_uniformity_loss
        >>> user, item = torch.eye(4, 8), torch.eye(6, 8)
        >>> pairs = torch.tensor([[0, 1, 3], [0, 1, 3]])
        >>> alignment_uniformity_loss(user, item, pairs)
        tensor(-4.0000)
        >>> alignment_uniformity_loss(user, item, pairs, uniformity_weight=0.0)
        tensor(0.)
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
    r"""The same without checks, for callers that have checked their input."""
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
    """One unit row per distinct node."""
    place: Tensor
    """The row of each pair's node in :obj:`x`."""
    used: Optional[Tensor]
    """1 for each row of a node, 0 for each row of padding."""


def _nodes(x: Tensor, index: Tensor, most: Optional[int]) -> _Nodes:
    r"""The distinct nodes in :obj:`index`, padded to :obj:`most` rows if given."""
    if most is None:
        nodes, place = index.unique(return_inverse=True)
        return _Nodes(unit_norm(at_least_float32(x[nodes])), place, None)
    found = distinct(index, most)
    rows = unit_norm(at_least_float32(x[found.value]))
    return _Nodes(rows, found.place, found.is_used.to(rows.dtype))


def _uniformity(nodes: _Nodes) -> Tensor:
    r""":math:`\ell` of unit rows. InfoNCE of the rows with themselves at the
    temperature 1/4 is :math:`\log \sum_l \exp(-2 \|\mathbf{x}_k - \mathbf{x}_l\|^2)`;
    :obj:`expm1` removes the term :math:`l = k`, which is 1."""
    x, used = nodes.x, nodes.used
    if used is None:
        num_rows = x.size(0)
        if num_rows == 1:
            return x.new_zeros(())
        total = _contrast(x, None).expm1().sum()
        return total.log() - math.log(num_rows * (num_rows - 1))
    number = used.sum()
    total = torch.dot(_contrast(x, used).expm1(), used)
    total = torch.where(number > 1, total, 1)  # A single node has no pairs.
    return total.log() - (number * (number - 1)).clamp(min=1).log()


def _contrast(x: Tensor, used: Optional[Tensor]) -> Tensor:
    return unchecked_info_nce(x, x, temperature=0.25, key_weight=used, reduction='none')
