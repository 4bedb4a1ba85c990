from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import Ranker, Recommender
from pyg_irllrec.nn.models._own_interactions import interactions_of
from pyg_irllrec.serving._text_tower import TextTower, text_of
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_vectors
from pyg_irllrec.utils.evaluating import evaluating


class FrozenRanker(Ranker):
    r"""The scores of a trained model, whose graph is embedded once, here: what serves.
    Users and items without interactions are embedded and scored by their texts, if they
    have any, in the same ranking as all others (:obj:`docs/cold.md`).

    Args:
        model (Recommender): The model.
        user_text (torch.Tensor, optional): Vectors of the texts of users, rows of zeros
            where there is none, of shape :math:`(U, D)`. (default: :obj:`None`)
        item_text (torch.Tensor, optional): Likewise, of items, :math:`(I, D)`.
            (default: :obj:`None`)

    Raises:
        ValueError: If the model is none, or there is no finite vector per node.

    Attributes:
        user_embedding (torch.Tensor): The embeddings that score, of shape
            :math:`(U, d)`.
        item_embedding (torch.Tensor): Likewise, of shape :math:`(I, d)`.
        tower (TextTower): What embeds users and items by texts alone.
        by_text (torch.Tensor): The items whose blended scores are those of their texts.
    """

    user_embedding: Tensor
    item_embedding: Tensor
    by_text: Tensor

    @torch.no_grad()
    def __init__(
        self,
        model: Recommender,
        *,
        user_text: Optional[Tensor] = None,
        item_text: Optional[Tensor] = None,
    ) -> None:
        check_instance('model', model, Recommender)
        super().__init__(model.num_users, model.num_items)
        if user_text is not None:
            check_vectors('user_text', user_text, self.num_users, 'per user')
        if item_text is not None:
            check_vectors('item_text', item_text, self.num_items, 'per item')
        pairs = interactions_of(model)
        with evaluating(model):
            user, item = model.get_embeddings()
            scorer = model.scorer((user, item))
            self.tower = TextTower(user, item, user_text, item_text, pairs, scorer)
            new_users = self.tower.only_text('user')
            new_items = self.tower.only_text('item')
            if user_text is not None and new_users.numel() > 0:
                vectors = self.tower.users(text_of(user_text, new_users))
                user = user.index_copy(0, new_users, vectors)
            if item_text is not None and new_items.numel() > 0:
                vectors = self.tower.items(text_of(item_text, new_items))
                item = item.index_copy(0, new_items, vectors)
            self._scorer = model.scorer((user, item))
        self.register_buffer('user_embedding', user)
        self.register_buffer('item_embedding', item)
        # Of inner products those are the scores, but companions know no texts.
        by_text = new_items if model.blends else new_items[:0]
        self.register_buffer('by_text', by_text)
        self._vectors = None if item_text is None else text_of(item_text, by_text)

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        r"""The scores of all items for a batch of users: those of the model, but for
        nodes that have a text alone."""
        return self.with_texts(self._scorer(users))

    def with_texts(self, scores: Tensor) -> Tensor:
        r"""Blended scores of all items, in which those of :obj:`by_text` are
        overwritten by those of their texts."""
        if self._vectors is not None and self.by_text.numel() > 0:
            scores[:, self.by_text] = self.tower.score_items(scores, self._vectors)
        return scores
