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
    r"""The scores of a trained model, for serving: the graph is embedded once, when the
    ranker is made. Users and items that have a text but no interactions are embedded
    and scored by their text, in one ranking with all others.

    Args:
        model (Recommender): The trained model.
        user_text (torch.Tensor, optional): The text vectors of users, of shape
            :math:`(U, D)`; a row of zeros means no text. (default: :obj:`None`)
        item_text (torch.Tensor, optional): The text vectors of items, of shape
            :math:`(I, D)`, likewise. (default: :obj:`None`)

    Raises:
        ValueError: If :obj:`model` is not a recommender, or the text vectors are not
            finite or not one per node.

    Attributes:
        user_embedding (torch.Tensor): The user embeddings, of shape :math:`(U, d)`.
        item_embedding (torch.Tensor): The item embeddings, of shape :math:`(I, d)`.
        tower (TextTower): Embeds users and items that have a text only.
        by_text (torch.Tensor): The items whose blended scores come from their texts.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import FrozenRanker
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> ranker = FrozenRanker(build_model(data), item_text=data['item'].profile)
        >>> ranker.score(torch.tensor([0, 3])).shape
        torch.Size([2, 10])
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
        # Without a blend, the embeddings above already give the scores of texts. In a
        # blend, companions have no scores for these items.
        by_text = new_items if model.blends else new_items[:0]
        self.register_buffer('by_text', by_text)
        self._vectors = None if item_text is None else text_of(item_text, by_text)

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        r"""Score all items for a batch of users, as the model does, except for nodes
        that have a text only."""
        return self.with_texts(self._scorer(users))

    def with_texts(self, scores: Tensor) -> Tensor:
        r"""Overwrite the blended scores of the items :attr:`by_text` with scores
        predicted from their texts, in place, and return all scores."""
        if self._vectors is not None and self.by_text.numel() > 0:
            scores[:, self.by_text] = self.tower.score_items(scores, self._vectors)
        return scores
