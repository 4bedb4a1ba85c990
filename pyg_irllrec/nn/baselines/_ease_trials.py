from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from pyg_irllrec.nn.baselines._ease_algebra import text_model
from pyg_irllrec.nn.models.recommendation import Scorer
from pyg_irllrec.utils.user_items import UserItems


class _RidgeTerms(NamedTuple):
    r"""The parts of the inverse :math:`\mathbf{P}` for one ridge that scores need."""

    ridge: float
    product: Tensor  # X P, for the users.
    diagonal: Tensor
    of_text: Optional[Tensor]  # P T.


class _TextTerms(NamedTuple):
    r"""The parts of :math:`\mathbf{P} (1 - \mathbf{S})` for one model of texts that
    scores need."""

    l2_weight: float
    product: Tensor
    diagonal: Tensor


class EASETrials:
    r"""The scores of :class:`~pyg_irllrec.nn.EASE` for some users with different
    options, without computing each solution. Options whose weights have the same sum
    share an inverse; only its products for these users are kept.

    Args:
        users (torch.Tensor): The users, sorted.
        items (UserItems): The interactions of all users.
        text (torch.Tensor, optional): The unit vectors of texts.
        invert (callable): A function from a sum of weights to the inverse
            :math:`\mathbf{P}`.
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
        self._ridge_terms: Optional[_RidgeTerms] = None
        self._text_terms: Optional[_TextTerms] = None

    def __call__(self, options: dict[str, float]) -> Scorer:
        l2_weight = options['l2_weight']
        text_weight = options.get('text_weight', 0.0)
        # Rounded, because equal sums of shares can differ in the last digits.
        product, diagonal, of_text = self._get_ridge_terms(
            round(l2_weight + text_weight, 6)
        )
        # X B = X - lambda X P - mu X P (1 - S) - X P diag(w), where w makes the
        # diagonal of B zero.
        own = 1 - l2_weight * diagonal
        text: Optional[Tensor] = None
        if of_text is not None and text_weight > 0:
            text, text_own = self._get_text_terms(options['text_l2_weight'])
            own -= text_weight * text_own
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

    def _get_ridge_terms(self, ridge: float) -> tuple[Tensor, Tensor, Optional[Tensor]]:
        if self._ridge_terms is None or self._ridge_terms.ridge != ridge:
            # Two of them may not fit in memory.
            self._ridge_terms = self._text_terms = None
            inverse = self._invert(ridge)
            row, item = self._items.lookup(self._users)
            counts = torch.bincount(row, minlength=self._users.numel())
            starts = counts.cumsum(0) - counts
            product = embedding_bag(item, inverse, starts, mode='sum')
            text = self._text
            of_text = None if text is None else inverse @ text.to(inverse.dtype)
            diagonal = inverse.diagonal().clone()
            self._ridge_terms = _RidgeTerms(ridge, product, diagonal, of_text)
        return self._ridge_terms[1:]

    def _get_text_terms(self, l2_weight: float) -> tuple[Tensor, Tensor]:
        assert self._ridge_terms is not None and self._text is not None
        if self._text_terms is None or self._text_terms.l2_weight != l2_weight:
            self._text_terms = None
            _, product, diagonal, of_text = self._ridge_terms
            text = self._text.to(product.dtype)
            mixed, scale = text_model(text, l2_weight)
            residual = torch.addmm(product, product @ mixed, text.t(), alpha=-1)
            assert of_text is not None
            own = diagonal - (of_text * mixed).sum(dim=1)
            self._text_terms = _TextTerms(l2_weight, residual.div_(scale), own / scale)
        return self._text_terms[1:]
