from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.matching_loss import (
    matching_loss,
    unchecked_matching_loss,
)
from pyg_irllrec.utils.ranks import Ranks


class InteractionTextMatchingLoss(Module):
    r"""The distillation of a momentum teacher into the text tower, from the `"Intent
    Representation Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper (interaction-text matching):

    .. math::
        \mathcal{L} = -\frac{1}{|\mathcal{V}|} \sum_k \sum_c
        \text{softmax}(\bar{\mathbf{q}}_k)_c \, \log \text{softmax}(\mathbf{q}_k)_c

    where :math:`\mathbf{q}` are the text intents of the trained tower and
    :math:`\bar{\mathbf{q}}` those of its teacher, see
    :class:`~pyg_irllrec.nn.MomentumEncoder`. The softmax is over the :math:`d`
    dimensions of an embedding, as in the authors' code.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import InteractionTextMatchingLoss, MomentumEncoder
        >>> tower = MomentumEncoder(torch.nn.Linear(24, 16))
        >>> text = torch.randn(7, 24)
        >>> InteractionTextMatchingLoss()(tower(text), tower.teach(text)).shape
        torch.Size([])
    """

    ranks: Optional[Ranks] = None

    def __init__(self) -> None:
        super().__init__()

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        r"""Return the mean loss of all nodes.

        Args:
            student (torch.Tensor): :math:`\mathbf{q}`, :math:`(|\mathcal{V}|, d)`.
            teacher (torch.Tensor): :math:`\bar{\mathbf{q}}`, of the same shape; no
                gradient flows to it.

        Raises:
            ValueError: If a shape or dtype is invalid.
        """
        if self.ranks is not None:
            return self._unchecked(student, teacher)
        return matching_loss(student, teacher)

    def _unchecked(self, student: Tensor, teacher: Tensor) -> Tensor:
        r"""Return the same loss, without checks of the input."""
        if self.ranks is None:
            return unchecked_matching_loss(student, teacher)
        num_rows = student.size(0)
        rows = self.ranks.rows(num_rows)
        loss = unchecked_matching_loss(student[rows], teacher[rows], 'sum')
        return self.ranks.size / num_rows * loss
