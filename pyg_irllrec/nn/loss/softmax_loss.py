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
    :func:`~pyg_irllrec.functional.softmax_loss`. The negative items of the triplets
    are not read.

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_{(u, i)} \log \frac{\exp(s_{ui})}
        {\exp(s_{ui}) + \sum_{j \neq i,\, j \notin \mathcal{K}_u} \exp(s_{uj})},
        \qquad
        s_{uj} = \frac{\cos(\mathbf{z}_u, \mathbf{z}_j)}{\tau} - \beta \log(1 + n_j)

    Args:
        temperature (float): :math:`\tau`. (default: :obj:`0.1`)
        normalize (bool): Whether scores are cosines; else they are inner products.
            (default: :obj:`True`)
        known (UserItems or str, optional): The interactions :math:`\mathcal{K}` that do
            not compete with others of the same user, beside those of the batch, or
            :obj:`"batch"` for these alone: they are all of a user where
            :obj:`batch_by="user"`, see
            :class:`~pyg_irllrec.training.InteractionDataModule`. With :obj:`None` all
            items compete. (default: :obj:`"batch"`)
        popularity_weight (float): :math:`\beta`. Above zero, training lowers the logits
            of popular items, so that the model learns to score them higher; below zero,
            lower. (default: :obj:`0.0`)
        popularity (torch.Tensor, optional): The number of interactions of each item,
            :math:`n_j`, of shape :math:`(I)`; only needed for
            :obj:`popularity_weight`. (default: :obj:`None`)
        num_samples (int, optional): How many items are drawn to stand for all others;
            only with :obj:`known`. (default: :obj:`None`, all items compete)
        sample_weight (torch.Tensor, optional): How often each item is drawn, up to a
            factor, of shape :math:`(I)`. (default: :obj:`None`, alike)
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
                "'popularity' must hold the number of interactions of each item with "
                "a 'popularity_weight', got None"
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
        r"""The mean loss of a batch.

        Args:
            user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
            triplets (torch.Tensor): User, positive item and negative item ids, each
                from zero, of shape :math:`(3, B)`.
            weight (torch.Tensor, optional): How much each triplet counts in the mean,
                :math:`(B)`. (default: :obj:`None`, alike)
            max_users (int, optional): How many users the triplets have at most. With it
                nothing waits for the device. (default: :obj:`None`, they are counted)

        Raises:
            ValueError: If a shape, dtype or id is not as above.
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
    r"""The triplets of every :math:`R`-th user, whose other items of the batch are
    masked and so have to be here, and the factor of their mean."""
    size = triplets.size(1)
    user = triplets[0].unique(return_inverse=True)[1]
    own = triplets[:, user % ranks.size == ranks.rank]
    if own.size(1) > 0:
        return own, ranks.size * own.size(1) / size
    return triplets[:, :1], 0.0  # The graph of all ranks has to be the same.


def _check_counts(value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless these are finite numbers from zero on."""
    if not isinstance(value, Tensor) or value.dim() != 1 or value.is_complex():
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"'popularity' must be a vector of real numbers, got {got}")
    check_length('popularity', value, value.numel())
    check_finite('popularity', value.unsqueeze(1))
    if bool((value < 0).any()):
        raise ValueError(f"'popularity' must be at least 0, got {float(value.min())}")
