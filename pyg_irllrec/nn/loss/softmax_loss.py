from __future__ import annotations

from typing import Optional, Union

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.functional.softmax_loss import (
    IMPLEMENTATIONS,
    check_batch,
    check_embeddings,
    check_known,
    check_sampling,
    unchecked_softmax_loss,
)
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_finite,
    check_length,
    check_triplets,
    is_number,
)
from pyg_irllrec.utils.ranks import Ranks
from pyg_irllrec.utils.user_items import UserItems


class SoftmaxLoss(Module):
    r"""The cross entropy of choosing each positive item among all items, see
    :func:`~pyg_irllrec.functional.softmax_loss`. It does not read the negative items of
    the triplets.

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_{(u, i)} \log \frac{\exp(s_{ui})}
        {\exp(s_{ui}) + \sum_{j \neq i,\, j \notin \mathcal{K}_u} \exp(s_{uj})},
        \qquad
        s_{uj} = \frac{\cos(\mathbf{z}_u, \mathbf{z}_j)}{\tau} - \beta \log(1 + n_j)

    Args:
        temperature (float): :math:`\tau`. (default: :obj:`0.1`)
        normalize (bool): Whether scores are cosines instead of inner products.
            (default: :obj:`True`)
        known (UserItems or str, optional): The interactions :math:`\mathcal{K}` to
            leave out of the denominator for the other positive items of the same user,
            in addition to those of the batch. :obj:`"batch"` leaves out only those of
            the batch, which are all interactions of its users with
            :obj:`batch_by="user"` in
            :class:`~pyg_irllrec.training.InteractionDataModule`. With :obj:`None`, all
            items are in the denominator. (default: :obj:`"batch"`)
        popularity_weight (float): :math:`\beta`. If it is above 0, training lowers the
            logits of popular items, so that the model learns to score them higher; if
            below 0, the reverse. (default: :obj:`0.0`)
        popularity (torch.Tensor, optional): The number of interactions of each item,
            :math:`n_j`, of shape :math:`(I)`; needed only with
            :obj:`popularity_weight`. (default: :obj:`None`)
        num_samples (int, optional): The number of items to sample for the denominator;
            needs :obj:`known`. (default: :obj:`None`, all items)
        sample_weight (torch.Tensor, optional): The unnormalised probability to sample
            each item, of shape :math:`(I)`. (default: :obj:`None`, uniform)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.softmax_loss`. (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import SoftmaxLoss
        >>> user, item = torch.randn(4, 8), torch.randn(6, 8)
        >>> triplets = torch.tensor([[0, 1, 3], [5, 2, 2], [1, 0, 4]])
        >>> loss_fn = SoftmaxLoss(temperature=0.2)
        >>> loss_fn(user, item, triplets).shape
        torch.Size([])
    """

    ranks: Optional[Ranks] = None
    popularity: Optional[Tensor]
    sample_weight: Optional[Tensor]

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        normalize: bool = True,
        known: Union[UserItems, str, None] = 'batch',
        popularity_weight: float = 0.0,
        popularity: Optional[Tensor] = None,
        num_samples: Optional[int] = None,
        sample_weight: Optional[Tensor] = None,
        impl: str = 'auto',
    ) -> None:
        super().__init__()
        check_temperature('temperature', temperature)
        check_flag('normalize', normalize)
        check_known(known)
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        if not is_number(popularity_weight) or not -10 <= popularity_weight <= 10:
            raise ValueError(
                "'popularity_weight' must be a number from -10 to 10, got "
                f'{popularity_weight!r}'
            )
        if popularity is not None:
            _check_counts(popularity)
        elif popularity_weight != 0:
            raise ValueError(
                "'popularity' must be the number of interactions of each item if "
                "'popularity_weight' is not 0, got None"
            )
        check_sampling(num_samples, sample_weight, known)
        self.temperature = temperature
        self.normalize = normalize
        self.known = known
        self.num_samples = num_samples
        self.impl = impl
        self.register_buffer('sample_weight', sample_weight, persistent=False)
        self.popularity_weight = popularity_weight
        self.register_buffer('popularity', popularity, persistent=False)

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        triplets: Tensor,
        *,
        weight: Optional[Tensor] = None,
        max_users: Optional[int] = None,
    ) -> Tensor:
        r"""Return the mean loss of a batch.

        Args:
            user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
            triplets (torch.Tensor): User, positive item and negative item ids, which
                start at 0 for each side, of shape :math:`(3, B)`.
            weight (torch.Tensor, optional): The weight of each triplet in the mean, of
                shape :math:`(B)`. (default: :obj:`None`, equal weights)
            max_users (int, optional): The number of distinct users in the triplets, or
                an upper bound. With it, the host does not wait for the device to count
                them. (default: :obj:`None`, counted)

        Raises:
            ValueError: If a shape, dtype or id is invalid.
        """
        check_embeddings(user, item)
        sizes = user.size(0), item.size(0)
        check_triplets(triplets, *sizes)
        check_known(self.known, sizes)
        check_length('popularity', self.popularity, sizes[1])
        check_length('sample_weight', self.sample_weight, sizes[1])
        check_batch(triplets, weight, max_users)
        known = self.known
        if isinstance(known, UserItems) and known.item.device != item.device:
            self.known = known.to(item.device)
        item_bias = None
        if self.popularity is not None and self.popularity_weight != 0:
            item_bias = -self.popularity_weight * self.popularity.log1p()
        share = 1.0
        if self.ranks is not None and weight is None:
            triplets, share = _own_users(triplets, self.ranks)
        loss = unchecked_softmax_loss(
            user,
            item,
            triplets,
            temperature=self.temperature,
            normalize=self.normalize,
            known=self.known,
            item_bias=item_bias,
            num_samples=self.num_samples,
            sample_weight=self.sample_weight,
            weight=weight,
            max_users=max_users,
            impl=self.impl,
        )
        return loss if self.ranks is None else share * loss

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)


def _own_users(triplets: Tensor, ranks: Ranks) -> tuple[Tensor, float]:
    r"""Return the triplets of every :math:`R`-th user and the factor of their mean. The
    triplets of a user stay together, because a user's other items in the batch are
    masked."""
    size = triplets.size(1)
    user = triplets[0].unique(return_inverse=True)[1]
    own = triplets[:, user % ranks.size == ranks.rank]
    if own.size(1) > 0:
        return own, ranks.size * own.size(1) / size
    return triplets[:, :1], 0.0  # All ranks must build the same autograd graph.


def _check_counts(value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a vector of finite numbers of
    at least 0."""
    if not isinstance(value, Tensor) or value.dim() != 1 or value.is_complex():
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"'popularity' must be a vector of real numbers, got {got}")
    check_length('popularity', value, value.numel())
    check_finite('popularity', value.unsqueeze(1))
    if bool((value < 0).any()):
        raise ValueError(f"'popularity' must be at least 0, got {float(value.min())}")
