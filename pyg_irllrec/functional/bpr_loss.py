from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.utils.checks import check_choice, check_matrix, check_same_shape


def bpr_loss(
    user: Tensor, positive: Tensor, negative: Tensor, *, reduction: str = 'mean'
) -> Tensor:
    r"""The loss of the `"BPR: Bayesian Personalized Ranking from Implicit
    Feedback" <https://arxiv.org/abs/1205.2618>`_ paper (the BPR-OPT criterion) on the
    embeddings of triplets:

    .. math::
        \ell = \log(1 + \exp(\mathbf{z}_u^{\top} \mathbf{z}_{i^-} -
        \mathbf{z}_u^{\top} \mathbf{z}_{i^+}))

    Args:
        user (torch.Tensor): The users, of shape :math:`(B, d)`.
        positive (torch.Tensor): Items that they chose, of shape :math:`(B, d)`.
        negative (torch.Tensor): Items that they did not choose, of shape
            :math:`(B, d)`.
        reduction (str): :obj:`"none"`, :obj:`"mean"` or :obj:`"sum"` over rows.
            (default: :obj:`"mean"`)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import bpr_loss
        >>> user = torch.tensor([[1.0, 0.0]])
        >>> positive, negative = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> bpr_loss(user, positive, negative)
        tensor(0.1269)
    """
    for name, value in (('user', user), ('positive', positive), ('negative', negative)):
        check_matrix(name, value)
        check_same_shape(name, value, 'user', user)
    check_choice('reduction', reduction, ('none', 'mean', 'sum'))
    return unchecked_bpr_loss(user, positive, negative, reduction)


def unchecked_bpr_loss(
    user: Tensor, positive: Tensor, negative: Tensor, reduction: str = 'mean'
) -> Tensor:
    r"""The same without checks, for callers that have checked their input."""
    if user.dtype.itemsize < 4:
        user, positive, negative = map(at_least_float32, (user, positive, negative))
    gap = (user * (negative - positive)).sum(dim=-1)
    return reduce_rows(F.softplus(gap), reduction)
