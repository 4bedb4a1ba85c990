r"""Embeddings and scores of nodes of which only a text is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional import unit_norm

_GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
LEAST_ROWS = 2
_MAX_ROWS = 50_000  # More add nothing to a linear map, but memory.
_MAX_SCORES = 2**22  # That are in memory at once.
_LEAST_USERS = 16
_TOP = 20


class TextTower:
    r"""Embed and scores items and users of which only a text is known, so that they
    stand in one ranking with those that a model was trained on.

    From texts :math:`\mathbf{t}`, centred and of unit length, a ridge regression
    predicts what the model makes of a node. It is linear, so that an embedding and a
    score, of whatever ranker, are predicted alike:

    .. math::
        \hat{s}_{uj} = \bar{s}_u + a \sum_i w_{ji} s_{ui}, \qquad \mathbf{W} =
        \mathbf{T}_{\text{new}} (\mathbf{T}^{\top} \mathbf{T} + \lambda)^{-1}
        \mathbf{T}^{\top}

    with the mean :math:`\bar{s}_u` of the scores of a user. :math:`\lambda` is the one
    whose predictions of each trained item from all others correlate best with its
    scores. Regression shrinks: with :math:`a = 1` new items would never be on top. The
    scale :math:`a` makes predictions of trained items reach the top 20 as often as
    their scores do, so that new items get the share of recommendations that they have
    of the catalogue.

    Args:
        user_embedding (torch.Tensor): The embeddings of users, :math:`(U, d)`.
        item_embedding (torch.Tensor): Likewise, of items, :math:`(I, d)`.
        user_text (torch.Tensor, optional): Vectors of texts of users; rows of zeros
            are users without a text, :math:`(U, D)`. They may lie on another device
            than all else, as do those of items: rows are copied that are read.
        item_text (torch.Tensor, optional): Likewise, of items, :math:`(I, D)`.
        pairs (torch.Tensor): The training interactions, :math:`(2, E)`.
        scorer (callable): The scores of all items for a batch of users.
    """

    def __init__(
        self,
        user_embedding: Tensor,
        item_embedding: Tensor,
        user_text: Optional[Tensor],
        item_text: Optional[Tensor],
        pairs: Tensor,
        scorer: Callable[[Tensor], Tensor],
    ) -> None:
        self._embedding = {'user': user_embedding, 'item': item_embedding}
        self._text = {'user': user_text, 'item': item_text}
        self._pairs = pairs
        self._scorer = scorer
        self._sides: dict[str, TextRidge] = {}

    def users(self, vectors: Tensor) -> Tensor:
        r"""The embeddings of users with these texts, of shape :math:`(N, d)`."""
        return self._embed('user', vectors)

    def items(self, vectors: Tensor) -> Tensor:
        r"""The embeddings of items with these texts, of shape :math:`(N, d)`."""
        return self._embed('item', vectors)

    def only_text(self, name: str) -> Tensor:
        r"""The nodes of a side that have a text and no interactions, unless too few
        others have a text."""
        text = self._text[name]
        if text is None:
            return self._pairs.new_empty(0)
        node = self._node(name)
        if len(trained_rows(text, node)) < LEAST_ROWS:
            return self._pairs.new_empty(0)
        only_text = _has_text(text)
        only_text[node.to(text.device)] = False
        return only_text.nonzero().flatten().to(node.device)

    def score_items(self, scores: Tensor, vectors: Tensor) -> Tensor:
        r"""The scores of items with these texts, of shape :math:`(B, N)`, from the
        scores of all items for a batch of users, :math:`(B, I)`."""
        side = self._side('item')
        return side.predict(scores[:, side.rows].t(), vectors).t()

    def _embed(self, name: str, vectors: Tensor) -> Tensor:
        side = self._side(name)
        return side.predict(self._embedding[name][side.rows], vectors)

    def width(self, name: str) -> int:
        r"""The width of the vectors of a side.

        Raises:
            ValueError: If there are none.
        """
        return self._vectors(name).size(1)

    def _vectors(self, name: str) -> Tensor:
        text = self._text[name]
        if text is None:
            raise ValueError(
                f'the {name}s of this model have no vectors of texts: new ones are '
                f"embedded only where they have, as data['{name}'].profile"
            )
        return text

    def _side(self, name: str) -> TextRidge:
        if name not in self._sides:
            text = self._vectors(name)
            rows = trained_rows(text, self._node(name))
            if len(rows) < LEAST_ROWS:
                raise ValueError(
                    f'the model was trained on {len(rows)} {name}s with a text: new '
                    f'ones are embedded where it was trained on {LEAST_ROWS} or more'
                )
            side = TextRidge(text, rows)
            if name == 'user':
                side.fit(self._embedding[name][side.rows].t())
            else:
                self._fit_items(side)
            self._sides[name] = side
        return self._sides[name]

    def _node(self, name: str) -> Tensor:
        return self._pairs[0 if name == 'user' else 1]

    def _fit_items(self, side: TextRidge) -> None:
        trained = self._pairs[0].unique()
        num_items = len(self._embedding['item'])
        users = _spread(trained, max(_LEAST_USERS, _MAX_SCORES // num_items))
        scores = self._scorer(users)
        seen = _seen(self._pairs, users, scores.shape)
        unseen = ~seen[:, side.rows]
        scores = scores[:, side.rows]
        predicted = side.fit(scores, unseen)
        side.scale = _same_share(scores, predicted, unseen)


class TextRidge:
    r"""A ridge regression from texts to whatever nodes have.

    Args:
        text (torch.Tensor): Vectors of texts, of shape :math:`(N, D)`.
        rows (torch.Tensor): The nodes to learn from.
    """

    def __init__(self, text: Tensor, rows: Tensor) -> None:
        self.rows = _spread(rows, _MAX_ROWS)
        text = text_of(text, self.rows)
        self._mean = text.mean(dim=0)
        unit = self._unit(text)
        self._unit_mean = unit.mean(dim=0)
        centred = unit - self._unit_mean
        gram = (centred.t() @ centred).double()
        self._value, axes = torch.linalg.eigh(gram)
        self._axes = axes.to(text.dtype)
        self._turned = centred @ self._axes
        self.l2_weight = 1.0
        self.scale = 1.0

    def fit(self, values: Tensor, counted: Optional[Tensor] = None) -> Tensor:
        r"""Choose :obj:`l2_weight`; returns what is predicted of each node from all
        others. :obj:`values` are of shape :math:`(V, n)`, a column per node."""
        if counted is None:
            counted = torch.ones_like(values, dtype=torch.bool)
        values = values.to(self._turned)
        mixed = values @ self._turned
        best, chosen = -math.inf, values
        for l2_weight in _GRID:
            predicted = self._leave_one_out(values, mixed, l2_weight)
            found = _correlation(predicted, values, counted)
            if found > best:
                best, chosen, self.l2_weight = found, predicted, l2_weight
        return chosen

    def predict(self, values: Tensor, vectors: Tensor) -> Tensor:
        r"""The values of nodes with these texts, :math:`(N, V)`, from those of the
        trained ones, :math:`(n, V)`."""
        vectors = vectors.to(self._mean)
        given = _has_text(vectors).unsqueeze(1)
        turned = (self._unit(vectors) - self._unit_mean) @ self._axes * given
        inverse = self._inverse(self.l2_weight)
        known = (self._turned * (self.scale * inverse)).t() @ values.to(turned)
        predicted: Tensor = values.mean(dim=0) + turned @ known
        return predicted.to(values)

    def _leave_one_out(self, values: Tensor, mixed: Tensor, l2_weight: float) -> Tensor:
        inverse = self._inverse(l2_weight)
        # Means stay those of all: without it they would fall where a value rises.
        leverage = (self._turned.square() * inverse).sum(dim=1)
        fitted = values.mean(dim=1, keepdim=True) + (mixed * inverse) @ self._turned.t()
        left_out: Tensor = (values - fitted) / (1 - leverage).clamp(min=1e-3)
        return values - left_out

    def _inverse(self, l2_weight: float) -> Tensor:
        inverse: Tensor = (self._value.clamp(min=0) + l2_weight).reciprocal()
        return inverse.to(self._axes.dtype)

    def _unit(self, text: Tensor) -> Tensor:
        return unit_norm(text - self._mean)


def trained_rows(text: Tensor, node: Tensor) -> Tensor:
    r"""The nodes that have interactions, of which :obj:`node` are the ends, and a
    text."""
    has_edges = torch.zeros(len(text), dtype=torch.bool, device=text.device)
    has_edges[node.to(text.device)] = True
    return (has_edges & _has_text(text)).nonzero().flatten().to(node.device)


def text_of(text: Tensor, rows: Tensor) -> Tensor:
    r"""The vectors of some nodes, where their rows lie."""
    return text[rows.to(text.device)].to(rows.device)


def _has_text(text: Tensor) -> Tensor:
    # Without a flag per number: texts of all users may be gigabytes.
    longest: Tensor = torch.linalg.vector_norm(text, math.inf, dim=1)
    return longest > 0


def _same_share(scores: Tensor, predicted: Tensor, counted: Tensor) -> float:
    r"""The scale with which predictions exceed the score at the end of a user's top as
    often as scores do."""
    num_users, num_items = scores.shape
    k = max(1, min(_TOP, num_items // 10))
    least = scores.masked_fill(~counted, -math.inf).topk(k, dim=1).values[:, -1:]
    mean = scores.mean(dim=1, keepdim=True)
    gap = predicted - mean
    counted = counted & (gap > 0) & least.isfinite()
    needed = ((least - mean) / gap)[counted]
    if needed.numel() == 0:
        return 0.0
    place = min(k * num_users, needed.numel())
    return max(0.0, float(needed.kthvalue(place).values))


def _correlation(one: Tensor, other: Tensor, counted: Tensor) -> float:
    r"""The mean correlation by row of what is counted."""
    weight = counted.to(one.dtype)
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    one, other = (
        (each - (each * weight).sum(dim=1, keepdim=True) / count) * weight
        for each in (one, other)
    )
    return float((unit_norm(one) * unit_norm(other)).sum(dim=1).mean())


def _seen(pairs: Tensor, users: Tensor, shape: torch.Size) -> Tensor:
    seen = torch.zeros(shape, dtype=torch.bool, device=users.device)
    place = torch.searchsorted(users, pairs[0]).clamp(max=len(users) - 1)
    found = users[place] == pairs[0]
    seen[place[found], pairs[1][found]] = True
    return seen


def _spread(rows: Tensor, most: int) -> Tensor:
    r"""At most so many rows, at even distances."""
    if len(rows) <= most:
        return rows
    place = torch.arange(most, device=rows.device) * len(rows) // most
    return rows[place]
