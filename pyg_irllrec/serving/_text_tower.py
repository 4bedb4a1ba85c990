r"""Embeddings and scores of nodes that have a text but no interactions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional import unit_norm

_GRID = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
MIN_ROWS = 2
_MAX_ROWS = 50_000  # More rows do not improve a linear map, but need memory.
_MAX_SCORES = 2**22  # In memory at once.
_MIN_USERS = 16
_TOP = 20


class TextTower:
    r"""Embeddings and scores of items and users that have only a text, so that they can
    be ranked together with those that a model was trained on.

    From texts :math:`\mathbf{t}`, centred and of unit length, a ridge regression
    predicts the embedding or the scores of a node. It is linear in these, so that one
    regression predicts embeddings and the scores of any ranker:

    .. math::
        \hat{s}_{uj} = \bar{s}_u + a \sum_i w_{ji} s_{ui}, \qquad \mathbf{W} =
        \mathbf{T}_{\text{new}} (\mathbf{T}^{\top} \mathbf{T} + \lambda)^{-1}
        \mathbf{T}^{\top}

    with the mean score :math:`\bar{s}_u` of a user. :math:`\lambda` is chosen by
    leave-one-out: the predictions of trained items must correlate best with their
    scores. A regression shrinks its predictions: with :math:`a = 1`, new items would
    never be on top. The scale :math:`a` is chosen so that the predictions of trained
    items reach the top 20 as often as their scores do. The share of new items in the
    recommendations is then about their share in the catalogue.

    Args:
        user_embedding (torch.Tensor): The user embeddings, of shape :math:`(U, d)`.
        item_embedding (torch.Tensor): The item embeddings, of shape :math:`(I, d)`.
        user_text (torch.Tensor, optional): The text vectors of users, of shape
            :math:`(U, D)`; a row of zeros means no text. Text vectors may be on another
            device than the other tensors. Only the rows in use are copied.
        item_text (torch.Tensor, optional): The text vectors of items, of shape
            :math:`(I, D)`, likewise.
        pairs (torch.Tensor): The training interactions, of shape :math:`(2, E)`.
        scorer (callable): Scores all items for a batch of users.
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
        r"""Predict embeddings of users from text vectors, of shape :math:`(N, d)`."""
        return self._embed('user', vectors)

    def items(self, vectors: Tensor) -> Tensor:
        r"""Predict embeddings of items from text vectors, of shape :math:`(N, d)`."""
        return self._embed('item', vectors)

    def only_text(self, name: str) -> Tensor:
        r"""The nodes of a side that have a text but no interactions; none of them if
        too few trained nodes have a text."""
        text = self._text[name]
        if text is None:
            return self._pairs.new_empty(0)
        node = self._node(name)
        if len(trained_rows(text, node)) < MIN_ROWS:
            return self._pairs.new_empty(0)
        only_text = _has_text(text)
        only_text[node.to(text.device)] = False
        return only_text.nonzero().flatten().to(node.device)

    def score_items(self, scores: Tensor, vectors: Tensor) -> Tensor:
        r"""Predict scores of items from text vectors, of shape :math:`(B, N)`, given
        the scores of all items for a batch of users, :math:`(B, I)`."""
        side = self._side('item')
        return side.predict(scores[:, side.rows].t(), vectors).t()

    def _embed(self, name: str, vectors: Tensor) -> Tensor:
        side = self._side(name)
        return side.predict(self._embedding[name][side.rows], vectors)

    def width(self, name: str) -> int:
        r"""The width of the text vectors of a side.

        Raises:
            ValueError: If the side has no text vectors.
        """
        return self._vectors(name).size(1)

    def _vectors(self, name: str) -> Tensor:
        text = self._text[name]
        if text is None:
            raise ValueError(
                f"the {name}s of this model have no text vectors, data['{name}']."
                f'profile, which are needed to embed new {name}s by their texts'
            )
        return text

    def _side(self, name: str) -> TextRidge:
        if name not in self._sides:
            text = self._vectors(name)
            rows = trained_rows(text, self._node(name))
            if len(rows) < MIN_ROWS:
                raise ValueError(
                    f'the model was trained on {len(rows)} {name}s with a text, but '
                    f'at least {MIN_ROWS} are needed to embed new {name}s by their '
                    'texts'
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
        users = _spread(trained, max(_MIN_USERS, _MAX_SCORES // num_items))
        scores = self._scorer(users)
        seen = _seen(self._pairs, users, scores.shape)
        unseen = ~seen[:, side.rows]
        scores = scores[:, side.rows]
        predicted = side.fit(scores, unseen)
        side.scale = _same_share(scores, predicted, unseen)


class TextRidge:
    r"""A ridge regression from text vectors to values of nodes.

    Args:
        text (torch.Tensor): The text vectors, of shape :math:`(N, D)`.
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
        r"""Choose :obj:`l2_weight`, and return leave-one-out predictions of the nodes.
        :obj:`values` have shape :math:`(V, n)`, one column per node; :obj:`counted`
        masks the values that count for the choice."""
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
        r"""Predict values from text vectors, of shape :math:`(N, V)`, given the values
        of the trained nodes, :math:`(n, V)`."""
        vectors = vectors.to(self._mean)
        given = _has_text(vectors).unsqueeze(1)
        turned = (self._unit(vectors) - self._unit_mean) @ self._axes * given
        inverse = self._inverse(self.l2_weight)
        known = (self._turned * (self.scale * inverse)).t() @ values.to(turned)
        predicted: Tensor = values.mean(dim=0) + turned @ known
        return predicted.to(values)

    def _leave_one_out(self, values: Tensor, mixed: Tensor, l2_weight: float) -> Tensor:
        inverse = self._inverse(l2_weight)
        # The means include the node itself. Without it, they would be lower for nodes
        # with higher values.
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
    r"""The nodes that have both a text and interactions; :obj:`node` has the ends of
    the interactions."""
    has_edges = torch.zeros(len(text), dtype=torch.bool, device=text.device)
    has_edges[node.to(text.device)] = True
    return (has_edges & _has_text(text)).nonzero().flatten().to(node.device)


def text_of(text: Tensor, rows: Tensor) -> Tensor:
    r"""The text vectors of rows, on the device of the rows."""
    return text[rows.to(text.device)].to(rows.device)


def _has_text(text: Tensor) -> Tensor:
    # A norm needs no mask of the size of the texts, which may be gigabytes.
    longest: Tensor = torch.linalg.vector_norm(text, math.inf, dim=1)
    return longest > 0


def _same_share(scores: Tensor, predicted: Tensor, counted: Tensor) -> float:
    r"""The scale with which predictions exceed a user's k-th score as often as scores
    do."""
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
    r"""The mean over rows of the correlation of counted values."""
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
    r"""Select at most :obj:`most` rows, evenly spaced."""
    if len(rows) <= most:
        return rows
    place = torch.arange(most, device=rows.device) * len(rows) // most
    return rows[place]
