from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.alignment_uniformity_loss import (
    unchecked_alignment_uniformity_loss,
)
from pyg_irllrec.functional.softmax_loss import check_batch, check_embeddings
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import check_not_negative, check_triplets


class DirectAULoss(Module):
    r"""The DirectAU ranking loss, alignment plus weighted uniformity, from the
    `"Towards Representation Alignment and Uniformity in Collaborative Filtering"
    <https://arxiv.org/abs/2206.12811>`_ paper (Equation 8), see
    :func:`~pyg_irllrec.functional.alignment_uniformity_loss`. It does not read the
    negative items of the triplets.

    Args:
        uniformity_weight (float): The weight of the uniformity term.
            (default: :obj:`1.0`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import DirectAULoss
        >>> user, item = torch.randn(4, 8), torch.randn(6, 8)
        >>> triplets = torch.tensor([[0, 1, 3], [5, 2, 2], [1, 0, 4]])
        >>> DirectAULoss(uniformity_weight=0.5)(user, item, triplets).shape
        torch.Size([])
    """

    def __init__(self, uniformity_weight: float = 1.0) -> None:
        super().__init__()
        check_not_negative('uniformity_weight', uniformity_weight)
        self.uniformity_weight = uniformity_weight

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        triplets: Tensor,
        *,
        weight: Optional[Tensor] = None,
        max_users: Optional[int] = None,
    ) -> Tensor:
        r"""Return the loss of a batch.

        Args:
            user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
            triplets (torch.Tensor): User, positive item and negative item ids, which
                start at 0 for each side, of shape :math:`(3, B)`.
            weight (torch.Tensor, optional): The weight of each triplet in the alignment
                term, of shape :math:`(B)`. (default: :obj:`None`, equal weights)
            max_users (int, optional): The number of distinct users in the triplets, or
                an upper bound. With it, the host does not wait for the device to count
                them. (default: :obj:`None`, counted)

        Raises:
            ValueError: If a shape, dtype or id is invalid.
        """
        check_embeddings(user, item)
        check_triplets(triplets, user.size(0), item.size(0))
        check_batch(triplets, weight, max_users)
        return unchecked_alignment_uniformity_loss(
            user, item, triplets, self.uniformity_weight, weight, max_users
        )

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
