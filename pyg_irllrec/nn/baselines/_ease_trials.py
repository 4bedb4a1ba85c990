from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from pyg_irllrec.nn.baselines._ease_algebra import text_model
from pyg_irllrec.nn.models.recommendation import Scorer
from pyg_irllrec.utils.user_items import UserItems


class _OfRidge(NamedTuple):
    r"""What is read of the inverse :math:`\mathbf{P}` of one ridge."""

    ridge: float
    product: Tensor  # X P of the users.
    diagonal: Tensor
    of_text: Optional[Tensor]  # P T.


class _OfText(NamedTuple):
    r"""What is read of :math:`\mathbf{P} (1 - \mathbf{S})` of one model of texts."""

    l2_weight: float
    product: Tensor
    diagonal: Tensor


class EASETrials:
    r"""The scores of :class:`~pyg_irllrec.nn.EASE` for some users with one options
    after another, without its solution. Options whose weights have the same sum share
    an inverse, of which the rows of the users are kept.

    Args:
        users (torch.Tensor): The users, sorted.
        items (UserItems): The interactions of all users.
        text (torch.Tensor, optional): The unit vectors of texts.
        invert (callable): Maps a sum of weights to the inverse :math:`\mathbf{P}`.
    """

    def __init__(
        self,
        users: Tensor,
        items: UserItems,
        text: Optional[Tensor],
        invert: Callable[[float], Tensor],
    ) -> None:
        self._users = users
        self._items = items
        self._text = text
        self._invert = invert
        self._of_ridge: Optional[_OfRidge] = None
        self._of_text: Optional[_OfText] = None

    def __call__(self, options: dict[str, float]) -> Scorer:
        l2_weight = options['l2_weight']
        text_weight = options.get('text_weight', 0.0)
        # The sum of shares differs by rounding.
        product, diagonal, of_text = self._take_ridge(round(l2_weight + text_weight, 6))
        # X B is X - lambda X P - mu X P (1 - S), less X P weighted such that the
        # diagonal of B is 0.
        own = 1 - l2_weight * diagonal
        text: Optional[Tensor] = None
        if of_text is not None and text_weight > 0:
            text, of_own = self._take_text(options['text_l2_weight'])
            own -= text_weight * of_own
        scale = own / diagonal + l2_weight

        def score(users: Tensor) -> Tensor:
            place = torch.searchsorted(self._users, users)
            score = product[place] * -scale
            if text is not None:
                score.sub_(text[place], alpha=text_weight)
            row, item = self._items.lookup(users)
            score[row, item] += 1
            return score.float()

        return score

    def _take_ridge(self, ridge: float) -> tuple[Tensor, Tensor, Optional[Tensor]]:
        if self._of_ridge is None or self._of_ridge.ridge != ridge:
            self._of_ridge = self._of_text = None  # Two of them may not fit.
            inverse = self._invert(ridge)
            row, item = self._items.lookup(self._users)
            counts = torch.bincount(row, minlength=self._users.numel())
            starts = counts.cumsum(0) - counts
            product = embedding_bag(item, inverse, starts, mode='sum')
            text = self._text
            of_text = None if text is None else inverse @ text.to(inverse.dtype)
            diagonal = inverse.diagonal().clone()
            self._of_ridge = _OfRidge(ridge, product, diagonal, of_text)
        return self._of_ridge[1:]

    def _take_text(self, l2_weight: float) -> tuple[Tensor, Tensor]:
        assert self._of_ridge is not None and self._text is not None
        if self._of_text is None or self._of_text.l2_weight != l2_weight:
            self._of_text = None
            _, product, diagonal, of_text = self._of_ridge
            text = self._text.to(product.dtype)
            mixed, scale = text_model(text, l2_weight)
            residual = torch.addmm(product, product @ mixed, text.t(), alpha=-1)
            assert of_text is not None
            own = diagonal - (of_text * mixed).sum(dim=1)
            self._of_text = _OfText(l2_weight, residual.div_(scale), own / scale)
        return self._of_text[1:]
