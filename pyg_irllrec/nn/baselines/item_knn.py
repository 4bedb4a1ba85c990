from __future__ import annotations

from typing import ClassVar, Optional

import torch
from torch import Tensor

from pyg_irllrec.nn.baselines._closed_form import ClosedForm
from pyg_irllrec.utils.checks import check_count, check_not_negative


class ItemKNN(ClosedForm):
    r"""Item-based nearest neighbours: the score of an item is the sum of its
    similarities to the user's items. The similarity counts the users that two items
    share:

    .. math::
        s_{ij} = \frac{|\mathcal{U}_i \cap \mathcal{U}_j|}{(|\mathcal{U}_i|
        |\mathcal{U}_j|)^{\alpha} + h}

    With :math:`\alpha = 1/2` and :math:`h = 0`, this is the cosine. Only the most
    similar items of each item are kept, which takes :math:`I \times
    \mathrm{num\_neighbors}` memory.

    The interactions are not saved with the model, see :class:`~pyg_irllrec.nn.EASE`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        interactions (torch.Tensor): User and item ids of *training* interactions, of
            shape :math:`(2, |\mathcal{E}|)`; repeated interactions count once.
        exponent (float, optional): :math:`\alpha`. Larger values recommend less popular
            items. (default: :obj:`None`, chosen by :meth:`calibrate`, 0.3 before)
        shrinkage (float): :math:`h`, which reduces similarities that rest on few users.
            (default: :obj:`0.0`)
        num_neighbors (int): The number of similar items to keep for each item.
            (default: :obj:`500`)

    Raises:
        ValueError: If an id or an option is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import ItemKNN
        >>> ratings = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 1, 2, 0]])
        >>> model = ItemKNN(3, 3, ratings, exponent=0.5)  # cosine similarity
        >>> model.score(torch.tensor([2])).round(decimals=2)
        tensor([[0.0000, 0.5000, 0.0000]])
    """

    _grids: ClassVar = {'exponent': (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
    _starts: ClassVar = {'exponent': 0.3}
    _defaults: ClassVar = {'exponent': 0.3}

    def __init__(
        self,
        num_users: int,
        num_items: int,
        interactions: Tensor,
        *,
        exponent: Optional[float] = None,
        shrinkage: float = 0.0,
        num_neighbors: int = 500,
    ) -> None:
        super().__init__(num_users, num_items, interactions, {'exponent': exponent})
        check_not_negative('shrinkage', shrinkage)
        check_count('num_neighbors', num_neighbors)
        self.exponent = exponent
        self.shrinkage = shrinkage
        self.num_neighbors = num_neighbors

    def _solve(self) -> tuple[Tensor, Tensor]:
        counts = torch.bincount(self.interactions[1], minlength=self.num_items)
        weight = counts.clamp(min=1).float().pow(self.options['exponent'])
        num_neighbors = min(self.num_neighbors, self.num_items)
        neighbors, similarities = [], []
        for rows, shared in self._cooccurrences():
            shared /= torch.outer(weight[rows], weight).add_(self.shrinkage)
            shared.diagonal(rows.start).zero_()
            top = shared.topk(num_neighbors, dim=1)
            neighbors.append(top.indices)
            similarities.append(top.values)
        return torch.cat(neighbors), torch.cat(similarities)

    def _score(
        self,
        solution: tuple[Tensor, Tensor],
        row: Tensor,
        item: Tensor,
        num_rows: int,
    ) -> Tensor:
        neighbors, similarities = solution
        place = row.unsqueeze(1) * self.num_items + neighbors[item]
        score = similarities.new_zeros(num_rows * self.num_items)
        score.index_add_(0, place.flatten(), similarities[item].flatten())
        return score.view(num_rows, self.num_items)
