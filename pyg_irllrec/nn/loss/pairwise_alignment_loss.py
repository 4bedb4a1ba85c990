from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional.info_nce import (
    IMPLEMENTATIONS,
    check_temperature,
    unchecked_info_nce,
)
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_index,
    check_matrix,
    check_same_shape,
)
from pyg_irllrec.utils.first_occurrence import first_occurrence


class PairwiseAlignmentLoss(Module):
    r"""Pulls each node's graph embedding to the same node's text embedding, from
    the `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper (pairwise
    alignment; with profiles alone it is the RLMRec-Con loss of
    `arXiv:2310.15950 <https://arxiv.org/abs/2310.15950>`_):

    .. math::
        \mathcal{L} = \frac{1}{|\mathcal{B}|} \sum_{k \in \mathcal{B}} -\log
        \frac{\exp(\cos(\mathbf{z}_k, \mathbf{p}_k) / \tau)}
        {\sum_{c \in \mathcal{C}} \exp(\cos(\mathbf{z}_k, \mathbf{p}_c) / \tau)}

    Args:
        temperature (float): :math:`\tau`. (default: :obj:`0.2`)
        negatives (str): Which text rows stand in the denominator
            :math:`\mathcal{C}`: those of the :obj:`"batch"` :math:`\mathcal{B}`,
            or those of :obj:`"all"` nodes. (default: :obj:`"batch"`)
        duplicates (bool): Whether a node that stands in the batch several times
            counts several times. If it does, it is among its own negatives.
            (default: :obj:`False`)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.
    """

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
        r"""The mean loss of the nodes in :obj:`index`.

        Args:
            embedding (torch.Tensor): Graph embeddings of all nodes that compete,
                of shape :math:`(|\mathcal{V}|, d)`: users, or items.
            text (torch.Tensor): Their text embeddings, of the same shape.
            index (torch.Tensor, optional): The batch :math:`\mathcal{B}`, node
                ids of shape :math:`(B)`. (default: :obj:`None`, all nodes)

        Raises:
            ValueError: If a shape, dtype or id is not as above.
        """
        check_matrix('embedding', embedding)
        check_matrix('text', text)
        check_same_shape('text', text, 'embedding', embedding)
        if index is not None:
            check_index('index', index, embedding.size(0))
        return self._unchecked(embedding, text, index)

    def _unchecked(
        self,
        embedding: Tensor,
        text: Tensor,
        index: Optional[Tensor] = None,
        first: Optional[Tensor] = None,
    ) -> Tensor:
        r"""The same for callers that have checked their input, and may have found the
        :func:`first_occurrence` in :obj:`index`."""
        if index is None:
            return unchecked_info_nce(
                embedding, text, temperature=self.temperature, impl=self.impl
            )
        weight = None
        if not self.duplicates:
            weight = (first_occurrence(index) if first is None else first).float()
        in_batch = self.negatives == 'batch'
        return unchecked_info_nce(
            embedding[index],
            text[index],
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
    nodes: Tensor,
    num_users: int,
    first: Optional[Tensor] = None,
) -> Tensor:
    r"""The sum of a loss of users and of losses of items, for batches of node ids: the
    first row of :obj:`nodes` holds users, all others hold items. :obj:`first` are their
    first occurrences, where they are known. It checks nothing itself."""
    unchecked = is_plain(user_loss, PairwiseAlignmentLoss, item_loss)
    loss, side = user_loss, slice(num_users)
    total: Optional[Tensor] = None
    for row, index in enumerate(nodes):
        if row == 1:
            loss, side = item_loss, slice(num_users, None)
        if unchecked:
            start = None if first is None else first[row]
            term = loss._unchecked(embedding[side], text[side], index, start)
        else:
            term = loss(embedding[side], text[side], index)
        total = term if total is None else total + term
    assert total is not None
    return total
