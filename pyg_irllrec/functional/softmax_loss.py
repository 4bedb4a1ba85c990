from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.softmax_loss_chunked import softmax_loss_chunked
from pyg_irllrec.functional._kernels.softmax_loss_eager import softmax_loss_eager
from pyg_irllrec.functional._kernels.softmax_loss_sampled import softmax_loss_sampled
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.info_nce import check_temperature, check_weights
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_finite,
    check_generator,
    check_ids,
    check_length,
    check_matrix,
    check_same_precision,
    check_vector,
)
from pyg_irllrec.utils.user_items import UserItems

IMPLEMENTATIONS = {'eager': softmax_loss_eager, 'chunked': softmax_loss_chunked}


def softmax_loss(
    user: Tensor,
    item: Tensor,
    pairs: Tensor,
    *,
    temperature: float = 0.1,
    normalize: bool = True,
    known: Union[UserItems, str, None] = None,
    item_bias: Optional[Tensor] = None,
    num_samples: Optional[int] = None,
    sample_weight: Optional[Tensor] = None,
    weight: Optional[Tensor] = None,
    max_users: Optional[int] = None,
    impl: str = 'auto',
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""The softmax loss of the `"On the Effectiveness of Sampled Softmax Loss for Item
    Recommendation" <https://arxiv.org/abs/2201.02327>`_ paper (Equation 3): the mean
    cross entropy of a user's item among all items, exact or with sampled items:

    .. math::
        \mathcal{L} = -\frac{1}{B} \sum_{(u, i)} \log \frac{\exp(s_{ui})}
        {\exp(s_{ui}) + \sum_{j \neq i,\, j \notin \mathcal{K}_u} \exp(s_{uj})},
        \qquad
        s_{uj} = \frac{\cos(\mathbf{z}_u, \mathbf{z}_j)}{\tau} + b_j

    Each user of the batch is scored once, no matter how many pairs the user has, so
    batches of whole users are cheapest, see
    :class:`~pyg_irllrec.training.TripletLoader`. Half-precision input is computed and
    returned in :obj:`float32`.

    Args:
        user (torch.Tensor): The embeddings of all users.
        item (torch.Tensor): The embeddings of all items.
        pairs (torch.Tensor): User ids and the ids of the items that they chose, both
            zero-based. A third row, such as the negatives of triplets, is ignored.
        temperature (float): The temperature :math:`\tau`. (default: :obj:`0.1`)
        normalize (bool): Whether scores are cosines rather than inner products.
            (default: :obj:`True`)
        known (UserItems or str, optional): The interactions :math:`\mathcal{K}` to
            leave out of the denominators, in addition to the pairs themselves, or
            :obj:`"batch"` to leave out the pairs only. (default: :obj:`None`, all items
            compete)
        item_bias (torch.Tensor, optional): The bias :math:`b_j` that is added to each
            item's logit. It gets no gradient. (default: :obj:`None`, no bias)
        num_samples (int, optional): The number of items to draw, with replacement, for
            the denominators of the whole batch. Each draw is weighted by the inverse of
            its expected count. Memory is this many logits per user of the batch. Needs
            :obj:`known`. (default: :obj:`None`, use all items)
        sample_weight (torch.Tensor, optional): The relative probability of drawing each
            item, such as its number of interactions. (default: :obj:`None`, uniform)
        weight (torch.Tensor, optional): The weight of each pair in the mean: at least
            0, and not 0 everywhere. (default: :obj:`None`, all equal)
        max_users (int, optional): An upper bound on the number of distinct users in
            :obj:`pairs`. With it, no shape depends on values and nothing waits for the
            device, so that a CUDA graph can capture the loss. More users than this are
            a device-side error. (default: :obj:`None`, count them)
        impl (str): The implementation without :obj:`num_samples`.
            (default: :obj:`"auto"`)

            - :obj:`"eager"` stores all logits of the users in the batch, and has
              derivatives of every order.
            - :obj:`"chunked"` processes blocks of users, on every device, in
              :math:`O((U + I) d + B)` memory. It has first derivatives only.
            - :obj:`"auto"` is :obj:`"eager"` for up to :math:`2^{16}` logits, else
              :obj:`"chunked"`.
        generator (torch.Generator, optional): The source of randomness for
            :obj:`num_samples`. (default: :obj:`None`, torch's own)

    Shapes:
        - **user:** :math:`(U, d)`, **item:** :math:`(I, d)`
        - **pairs:** :math:`(2, B)` or :math:`(3, B)`
        - **item_bias**, **sample_weight:** :math:`(I)`, **weight:** :math:`(B)`
        - **output:** a scalar

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import softmax_loss
        >>> user, item = torch.eye(3), torch.eye(3)
        >>> pairs = torch.tensor([[0, 1, 2], [0, 1, 2]])
        >>> softmax_loss(user, item, pairs, temperature=1.0)
        tensor(0.5514)
        >>> loss = softmax_loss(user, item, pairs, known='batch', num_samples=2)
        >>> loss.shape
        torch.Size([])
    """
    check_embeddings(user, item)
    check_pairs(pairs, user.size(0), item.size(0))
    check_temperature('temperature', temperature)
    check_flag('normalize', normalize)
    check_known(known, (user.size(0), item.size(0)))
    check_item_bias(item_bias)
    check_length('item_bias', item_bias, item.size(0))
    check_sampling(num_samples, sample_weight, known)
    check_length('sample_weight', sample_weight, item.size(0))
    check_batch(pairs, weight, max_users)
    check_generator(generator)
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    return unchecked_softmax_loss(
        user,
        item,
        pairs,
        temperature=temperature,
        normalize=normalize,
        known=known,
        item_bias=item_bias,
        num_samples=num_samples,
        sample_weight=sample_weight,
        weight=weight,
        max_users=max_users,
        impl=impl,
        generator=generator,
    )


def check_embeddings(user: Tensor, item: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless both are matrices of the same width and
    precision."""
    check_matrix('user', user)
    check_matrix('item', item)
    if item.size(1) != user.size(1):
        raise ValueError(
            f"'item' must be as wide as 'user', {user.size(1)}, got {item.size(1)}"
        )
    check_same_precision('item', item, 'user', user)


def check_pairs(pairs: Tensor, num_users: int, num_items: int) -> None:
    r"""Raise a :class:`ValueError` unless the first two rows are user ids and item ids.
    Values are checked on a CPU only."""
    if not isinstance(pairs, Tensor):
        raise ValueError(f"'pairs' must be a tensor, got {type(pairs).__name__}")
    if pairs.dim() != 2 or pairs.size(0) not in (2, 3) or pairs.size(1) == 0:
        raise ValueError(
            "'pairs' must have shape (2, batch_size) or (3, batch_size), got "
            f'{tuple(pairs.shape)}'
        )
    check_ids('pairs', pairs)
    if not pairs.is_cpu or torch.compiler.is_compiling():
        return
    low, high = pairs.amin(dim=1).tolist(), pairs.amax(dim=1).tolist()
    for row, (side, count) in enumerate((('users', num_users), ('items', num_items))):
        if low[row] < 0 or high[row] >= count:
            raise ValueError(
                f"'pairs[{row}]' must hold ids of {side} from 0 to {count - 1}, got "
                f'ids from {low[row]} to {high[row]}'
            )


def check_batch(
    pairs: Tensor, weight: Optional[Tensor], max_users: Optional[int]
) -> None:
    r"""Raise a :class:`ValueError` unless both are :obj:`None` or fit the pairs. Values
    are checked on a CPU only."""
    check_weights('weight', weight, pairs.size(1))
    if max_users is None:
        return
    check_count('max_users', max_users)
    if not pairs.is_cpu or torch.compiler.is_compiling():
        return
    found = pairs[0].unique().numel()
    if found > max_users:
        raise ValueError(
            f"'max_users' must be at least the number of users in 'pairs', {found}, "
            f'got {max_users}'
        )


def check_known(known: object, sizes: Optional[tuple[int, int]] = None) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`known` is :obj:`None`, :obj:`"batch"`
    or interactions of the given numbers of users and items."""
    if known is None or (isinstance(known, str) and known == 'batch'):
        return
    if not isinstance(known, UserItems):
        raise ValueError(f"'known' must be UserItems, 'batch' or None, got {known!r}")
    if sizes is not None and (known.num_users, known.num_items) != sizes:
        raise ValueError(
            f"'known' must have {sizes[0]} users and {sizes[1]} items, like 'user' and "
            f"'item', got {known!r}"
        )


def check_item_bias(value: Optional[Tensor]) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is :obj:`None` or a vector of
    finite numbers. Values are checked on a CPU only."""
    if value is None:
        return
    check_vector('item_bias', value)
    if value.is_cpu and not torch.compiler.is_compiling():
        check_finite('item_bias', value.unsqueeze(1))


def check_sampling(
    num_samples: Optional[int], sample_weight: Optional[Tensor], known: object
) -> None:
    r"""Raise a :class:`ValueError` unless the sampling arguments fit each other."""
    if num_samples is None:
        if sample_weight is not None:
            raise ValueError(
                "'sample_weight' must be None without 'num_samples', got "
                f'{type(sample_weight).__name__}'
            )
        return
    check_count('num_samples', num_samples)
    if known is None:
        raise ValueError(
            "'known' must be UserItems or 'batch' with 'num_samples', got None: a "
            'positive could be drawn as its own negative'
        )
    if sample_weight is not None:
        check_vector('sample_weight', sample_weight)
        check_weights('sample_weight', sample_weight, max(1, sample_weight.numel()))


def unchecked_softmax_loss(
    user: Tensor,
    item: Tensor,
    pairs: Tensor,
    *,
    temperature: float,
    normalize: bool,
    known: Union[UserItems, str, None],
    item_bias: Optional[Tensor],
    num_samples: Optional[int],
    sample_weight: Optional[Tensor],
    weight: Optional[Tensor],
    max_users: Optional[int],
    impl: str,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""The same without checks, for callers that have checked their input."""
    user, item = at_least_float32(user), at_least_float32(item)
    if item_bias is not None:
        item_bias = item_bias.detach()
    interactions = None
    if isinstance(known, UserItems):
        interactions = known.rowptr, known.item
    if impl == 'auto':
        # The compiler cannot count the users of a batch.
        most = pairs.size(1) if max_users is None else max_users
        small = most * item.size(0) <= 2**16
        impl = 'eager' if small and not torch.compiler.is_compiling() else 'chunked'
    users, items = pairs[:2].long()
    batch = users, items, weight, max_users
    given = user, item, *batch, item_bias, interactions
    with torch.autocast(user.device.type, enabled=False):
        if num_samples is not None:
            sampling = num_samples, sample_weight, generator
            return softmax_loss_sampled(*given, temperature, normalize, *sampling)
        return IMPLEMENTATIONS[impl](*given, known is not None, temperature, normalize)
