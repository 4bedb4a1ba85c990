from __future__ import annotations

import math

import torch
from torch import Tensor

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.info_nce import unchecked_info_nce
from pyg_irllrec.functional.softmax_loss import check_embeddings, check_pairs
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import check_not_negative


def alignment_uniformity_loss(
    user: Tensor, item: Tensor, pairs: Tensor, *, uniformity_weight: float = 1.0
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

    Raises:
        ValueError: If a shape, dtype, id or option is not as above.
    """
    check_embeddings(user, item)
    check_pairs(pairs, user.size(0), item.size(0))
    check_not_negative('uniformity_weight', uniformity_weight)
    return unchecked_alignment_uniformity_loss(user, item, pairs, uniformity_weight)


def unchecked_alignment_uniformity_loss(
    user: Tensor, item: Tensor, pairs: Tensor, uniformity_weight: float
) -> Tensor:
    r"""The same for callers that have checked their input."""
    with torch.autocast(user.device.type, enabled=False):
        left, left_at = _nodes(user, pairs[0])
        right, right_at = _nodes(item, pairs[1])
        loss = (left[left_at] - right[right_at]).square().sum(dim=1).mean()
        if uniformity_weight == 0:
            return loss
        apart = _uniformity(left) + _uniformity(right)
        return loss + uniformity_weight / 2 * apart


def _nodes(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    r"""The unit rows of the nodes in :obj:`index`, each once, and where each is."""
    nodes, at = index.unique(return_inverse=True)
    return unit_norm(at_least_float32(x[nodes])), at


def _uniformity(x: Tensor) -> Tensor:
    r""":math:`\ell` of unit rows. At the temperature 1/4 InfoNCE with themselves is
    :math:`\log \sum_l \exp(-2 \|\mathbf{x}_k - \mathbf{x}_l\|^2)`, in which a row and
    itself count 1."""
    num_rows = x.size(0)
    if num_rows == 1:
        return x.new_zeros(())
    rows = unchecked_info_nce(x, x, temperature=0.25, reduction='none')
    return rows.expm1().sum().log() - math.log(num_rows * (num_rows - 1))
