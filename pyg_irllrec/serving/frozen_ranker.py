from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.nn import Ranker, Recommender
from pyg_irllrec.utils.evaluating import evaluating


class FrozenRanker(Ranker):
    r"""The scores of a trained model, whose graph is embedded once, here: what serves.

    Args:
        model (Recommender): The model.

    Attributes:
        user_embedding (torch.Tensor): The embeddings that score, of shape
            :math:`(U, d)`.
        item_embedding (torch.Tensor): Likewise, of shape :math:`(I, d)`.
    """

    user_embedding: Tensor
    item_embedding: Tensor

    def __init__(self, model: Recommender) -> None:
        super().__init__(model.num_users, model.num_items)
        with torch.no_grad(), evaluating(model):
            user, item = model.get_embeddings()
            self._scorer = model.scorer()
        self.register_buffer('user_embedding', user)
        self.register_buffer('item_embedding', item)

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        r"""The scores of all items for a batch of users, as those of the model."""
        return self._scorer(users)
