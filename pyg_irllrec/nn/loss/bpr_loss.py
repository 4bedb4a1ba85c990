from __future__ import annotations

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.bpr_loss import unchecked_bpr_loss
from pyg_irllrec.functional.softmax_loss import check_embeddings
from pyg_irllrec.utils.checks import check_triplets


class BPRLoss(Module):
    r"""The mean of :func:`~pyg_irllrec.functional.bpr_loss` over a batch of triplets,
    from the `"BPR: Bayesian Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1205.2618>`_ paper.

    .. math::
        \mathcal{L} = \frac{1}{B} \sum_{(u, i, j)} \log(1 + \exp(\mathbf{z}_u^{\top}
        \mathbf{z}_j - \mathbf{z}_u^{\top} \mathbf{z}_i))

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import BPRLoss
        >>> user, item = torch.eye(2), torch.eye(2)
        >>> triplets = torch.tensor([[0, 1], [0, 1], [1, 0]])
        >>> BPRLoss()(user, item, triplets)
        tensor(0.3133)
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, user: Tensor, item: Tensor, triplets: Tensor) -> Tensor:
        r"""Return the mean loss of a batch.

        Args:
            user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
            triplets (torch.Tensor): User, positive item and negative item ids, which
                start at 0 for each side, of shape :math:`(3, B)`.

        Raises:
            ValueError: If a shape, dtype or id is invalid.
        """
        check_embeddings(user, item)
        check_triplets(triplets, user.size(0), item.size(0))
        users, positive, negative = triplets
        return unchecked_bpr_loss(user[users], item[positive], item[negative])
