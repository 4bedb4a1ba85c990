from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional._shared_info_nce import shared_info_nce
from pyg_irllrec.functional.info_nce import (
    IMPLEMENTATIONS,
    check_temperature,
)
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.nn.loss._batch import Batch, make_batch, wide_dtype
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_index,
    check_matrix,
    check_same_shape,
)
from pyg_irllrec.utils.first_occurrence import first_occurrence
from pyg_irllrec.utils.ranks import Ranks


class PairwiseAlignmentLoss(Module):
    r"""The contrast that pulls the graph embedding of each node towards its text
    embedding, from the `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper (pairwise alignment; with
    profiles only, the RLMRec-Con loss of `arXiv:2310.15950
    <https://arxiv.org/abs/2310.15950>`_):

    .. math::
        \mathcal{L} = \frac{1}{|\mathcal{B}|} \sum_{k \in \mathcal{B}} -\log
        \frac{\exp(\cos(\mathbf{z}_k, \mathbf{p}_k) / \tau)}
        {\sum_{c \in \mathcal{C}} \exp(\cos(\mathbf{z}_k, \mathbf{p}_c) / \tau)}

    Args:
        temperature (float): :math:`\tau`. (default: :obj:`0.2`)
        negatives (str): The nodes :math:`\mathcal{C}` whose texts are in the
            denominator: those of the :obj:`"batch"` :math:`\mathcal{B}`, or
            :obj:`"all"`. (default: :obj:`"batch"`)
        duplicates (bool): Whether a node that occurs several times in the batch counts
            each time. If so, it is also one of its own negatives.
            (default: :obj:`False`)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import PairwiseAlignmentLoss
        >>> loss_fn = PairwiseAlignmentLoss(temperature=0.2)
        >>> embedding, text = torch.randn(8, 16), torch.randn(8, 16)
        >>> loss_fn(embedding, text, index=torch.tensor([0, 3, 5])).shape
        torch.Size([])
    """

    ranks: Optional[Ranks] = None

    def __init__(
        self,
        temperature: float = 0.2,
        negatives: str = 'batch',
        duplicates: bool = False,
        impl: str = 'auto',
    ) -> None:
        super().__init__()
        check_temperature('temperature', temperature)
        check_flag('duplicates', duplicates)
        check_choice('negatives', negatives, ('batch', 'all'))
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        self.temperature = temperature
        self.negatives = negatives
        self.duplicates = duplicates
        self.impl = impl

    def forward(
        self, embedding: Tensor, text: Tensor, index: Optional[Tensor] = None
    ) -> Tensor:
        r"""Return the mean loss of the nodes in :obj:`index`.

        Args:
            embedding (torch.Tensor): Graph embeddings of all nodes of one side, users
                or items, of shape :math:`(N, d)`.
            text (torch.Tensor): Their text embeddings, of the same shape.
            index (torch.Tensor, optional): The batch :math:`\mathcal{B}`, node
                ids of shape :math:`(B)`. (default: :obj:`None`, all nodes)

        Raises:
            ValueError: If a shape, dtype or id is invalid.
        """
        check_matrix('embedding', embedding)
        check_matrix('text', text)
        check_same_shape('text', text, 'embedding', embedding)
        if index is not None:
            check_index('index', index, embedding.size(0))
        return self._unchecked(embedding, text, index)

    def _unchecked(
        self, embedding: Tensor, text: Tensor, index: Optional[Tensor] = None
    ) -> Tensor:
        r"""Return the same loss, without checks of the input."""
        if index is None:
            return shared_info_nce(
                self.ranks,
                embedding,
                text,
                temperature=self.temperature,
                impl=self.impl,
            )
        weight = None
        if not self.duplicates:
            weight = first_occurrence(index).to(wide_dtype(embedding))
        in_batch = self.negatives == 'batch'
        return shared_info_nce(
            self.ranks,
            embedding.index_select(0, index),
            text.index_select(0, index),
            None if in_batch else text,
            temperature=self.temperature,
            weight=weight,
            key_weight=weight if in_batch else None,
            impl=self.impl,
        )

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)


def align_sides(
    user_loss: PairwiseAlignmentLoss,
    item_loss: PairwiseAlignmentLoss,
    embedding: Tensor,
    text: Tensor,
    ids: Tensor,
    num_users: int,
    batch: Optional[Batch] = None,
) -> Tensor:
    r"""Return the sum of the loss of users and the losses of items, for ids of shape
    :math:`(R, B)`: a row of users, then rows of items. :obj:`text` has one row per node
    or, if all negatives are in the batch, one row per id, :math:`(R, B, d)`. The input
    is not checked."""
    if not is_plain(user_loss, PairwiseAlignmentLoss, item_loss):
        sizes = [num_users, embedding.size(0) - num_users]
        users, items = zip(embedding.split(sizes), text.split(sizes))
        terms = [item_loss(*items, index) for index in ids[1:]]
        return sum_tensors([user_loss(*users, ids[0]), *terms])
    if batch is None:
        once = not (user_loss.duplicates and item_loss.duplicates)
        batch = make_batch(ids, num_users, wide_dtype(embedding) if once else None)
    return _align_rows(user_loss, item_loss, embedding, text, batch, num_users)


def _align_rows(
    user_loss: PairwiseAlignmentLoss,
    item_loss: PairwiseAlignmentLoss,
    embedding: Tensor,
    text: Tensor,
    batch: Batch,
    num_users: int,
) -> Tensor:
    query = batch.take(embedding)
    key = batch.take(text) if text.dim() == 2 else text.flatten(0, 1)
    size, num_items = query.size(0) // batch.num_rows, batch.num_rows - 1
    # Rows of items with the same negatives share a call.
    sizes = [size, *[size] * num_items]
    if item_loss.negatives == 'all':
        sizes = [size, size * num_items]
    weights: Sequence[Optional[Tensor]] = [None] * len(sizes)
    shares = weights
    if batch.once is not None and batch.share is not None:
        weights, shares = batch.once.split(sizes), batch.share.split(sizes)
    terms = []
    for column, (x, y, once, share) in enumerate(
        zip(query.split(sizes), key.split(sizes), weights, shares)
    ):
        loss, keys = user_loss, None
        if column > 0:
            loss = item_loss
        if loss.negatives == 'all':
            keys = text[:num_users] if column == 0 else text[num_users:]
        if loss.duplicates:
            once = share = None
        term = shared_info_nce(
            loss.ranks,
            x,
            y,
            keys,
            temperature=loss.temperature,
            weight=share,
            key_weight=once if keys is None else None,
            reduction='mean' if share is None else 'sum',
            impl=loss.impl,
        )
        num_means = x.size(0) // size if share is None else 1
        terms.append(term if num_means == 1 else num_means * term)
    return sum_tensors(terms)
