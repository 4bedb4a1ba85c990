from __future__ import annotations

from typing import Optional, Union

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.functional.softmax_loss import (
    IMPLEMENTATIONS,
    check_embeddings,
    check_item_bias,
    check_known,
    check_sampling,
    unchecked_softmax_loss,
)
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice, check_length, check_triplets
from pyg_irllrec.utils.user_items import UserItems


class SoftmaxLoss(Module):
    r"""The cross entropy of choosing each positive item among all items, see
    :func:`~pyg_irllrec.functional.softmax_loss`. The negative items of the triplets
    are not read.

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_{(u, i)} \log \frac{\exp(s_{ui})}
        {\exp(s_{ui}) + \sum_{j \neq i,\, j \notin \mathcal{K}_u} \exp(s_{uj})},
        \qquad
        s_{uj} = \frac{\cos(\mathbf{z}_u, \mathbf{z}_j)}{\tau} + b_j

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
        item_bias (torch.Tensor, optional): What each item's logit is raised by in
            training, :math:`b_j`, of shape :math:`(I)`: :math:`\beta` times the
            logarithm of its share of all interactions makes up for its popularity.
            (default: :obj:`None`, nothing)
        num_samples (int, optional): How many items are drawn to stand for all others;
            only with :obj:`known`. (default: :obj:`None`, all items compete)
        sample_weight (torch.Tensor, optional): How often each item is drawn, up to a
            factor, of shape :math:`(I)`. (default: :obj:`None`, alike)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.softmax_loss`. (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.
    """

    item_bias: Optional[Tensor]
    sample_weight: Optional[Tensor]

    def __init__(
        self,
        temperature: float = 0.1,
        *,
        normalize: bool = True,
        known: Union[UserItems, str, None] = 'batch',
        item_bias: Optional[Tensor] = None,
        num_samples: Optional[int] = None,
        sample_weight: Optional[Tensor] = None,
        impl: str = 'auto',
    ) -> None:
        super().__init__()
        check_temperature('temperature', temperature)
        check_flag('normalize', normalize)
        check_known(known)
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        check_item_bias(item_bias)
        check_sampling(num_samples, sample_weight, known)
        self.temperature = temperature
        self.normalize = normalize
        self.known = known
        self.num_samples = num_samples
        self.impl = impl
        self.register_buffer('sample_weight', sample_weight, persistent=False)
        self.register_buffer('item_bias', item_bias, persistent=False)

    def forward(self, user: Tensor, item: Tensor, triplets: Tensor) -> Tensor:
        r"""The mean loss of a batch.

        Args:
            user (torch.Tensor): The embeddings of all users, :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, :math:`(I, d)`.
            triplets (torch.Tensor): User, positive item and negative item ids, each
                from zero, of shape :math:`(3, B)`.

        Raises:
            ValueError: If a shape, dtype or id is not as above.
        """
        check_embeddings(user, item)
        sizes = user.size(0), item.size(0)
        check_triplets(triplets, *sizes)
        check_known(self.known, sizes)
        check_length('item_bias', self.item_bias, sizes[1])
        check_length('sample_weight', self.sample_weight, sizes[1])
        if isinstance(self.known, UserItems):
            self.known = self.known.to(item.device)
        return unchecked_softmax_loss(
            user,
            item,
            triplets,
            temperature=self.temperature,
            normalize=self.normalize,
            known=self.known,
            item_bias=self.item_bias,
            num_samples=self.num_samples,
            sample_weight=self.sample_weight,
            impl=self.impl,
        )

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
