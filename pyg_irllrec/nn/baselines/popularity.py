from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.nn.baselines._closed_form import ClosedForm


class Popularity(ClosedForm):
    r"""The same ranking for all users: items by their number of interactions.

    The interactions are not saved with the model, see :class:`~pyg_irllrec.nn.EASE`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        interactions (torch.Tensor): User and item ids of *training* interactions, of
            shape :math:`(2, |\mathcal{E}|)`; repeated interactions count once.

    Raises:
        ValueError: If an id is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import Popularity
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 1]])
        >>> model = Popularity(3, 3, ratings)
        >>> model.recommend(torch.tensor([0, 2]), k=2).item
        tensor([[1, 0],
                [1, 0]])
    """

    def __init__(self, num_users: int, num_items: int, interactions: Tensor) -> None:
        super().__init__(num_users, num_items, interactions, {})

    def _solve(self) -> Tensor:
        counts = torch.bincount(self.interactions[1], minlength=self.num_items)
        return counts.float()

    def _score(
        self, solution: Tensor, row: Tensor, item: Tensor, num_rows: int
    ) -> Tensor:
        return solution.repeat(num_rows, 1)
