from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Optional

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.nn.baselines._closed_form import ClosedForm
from pyg_irllrec.nn.baselines._ease_algebra import invert, invert_by_users, text_model
from pyg_irllrec.nn.baselines._ease_trials import EASETrials
from pyg_irllrec.nn.baselines._hill_climb import Options
from pyg_irllrec.nn.models.recommendation import Scorer
from pyg_irllrec.utils.checks import check_count, check_positive, check_vectors
from pyg_irllrec.utils.user_items import UserItems

_MATRICES = 3  # The number of item x item matrices in memory at once.
_FEW_USERS = 2  # At this many items per user, factorise a user x user matrix.
_MAX_CONDITION = 1e4  # Above it, float32 loses too many digits.


class EASE(ClosedForm):
    r"""The linear model of the `"Embarrassingly Shallow Autoencoders for Sparse Data"
    <https://arxiv.org/abs/1905.03375>`_ paper, a strong baseline if there are few
    items. Scores are :math:`\mathbf{X} \mathbf{B}`, where :math:`\mathbf{B}` predicts
    each interaction from the user's other interactions:

    .. math::
        \min_{\mathbf{B}} \|\mathbf{X} - \mathbf{X} \mathbf{B}\|^2 + \lambda
        \|\mathbf{B}\|^2 + \mu \|\mathbf{B} - \mathbf{S}\|^2 \quad \text{with} \quad
        \text{diag}(\mathbf{B}) = 0

    :math:`\mathbf{S}` is the same model computed from item texts instead of
    interactions: :math:`\mathbf{X}^{\top} \mathbf{X}` is replaced by the cosines of
    texts, and :math:`\lambda` by :obj:`text_l2_weight`. Without texts, :math:`\mu = 0`.

    The exact solution is computed at the first call for scores, in :math:`O(I^3)`, or
    in :math:`O(I^2 \cdot U)` if there are at least twice as many items as users. This
    takes three :math:`I \times I` matrices in memory, and one afterwards. They are in
    :obj:`float32`. If :math:`\lambda` is too small for this precision, the solution is
    computed in :obj:`float64`.

    The interactions and texts move with the model, but neither they nor the solution
    are saved. The state dict contains only the options that :meth:`calibrate` has
    chosen: to load it, build the model from the same interactions first.

    If both :math:`\lambda` and :math:`\mu` are left open, :meth:`calibrate` searches
    their sum and the share of :math:`\mu` in it, because the step in :math:`O(I^3)`
    depends only on the sum. It keeps the scores of the users that it evaluates, at most
    3000.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        interactions (torch.Tensor): User and item ids of *training* interactions, of
            shape :math:`(2, |\mathcal{E}|)`; repeated interactions count once.
        l2_weight (float, optional): :math:`\lambda`, above 0. (default: :obj:`None`,
            chosen by :meth:`calibrate`, 200 before)
        item_text (torch.Tensor, optional): Text embeddings of items, of shape
            :math:`(I, D_t)`; a row of zeros is an item without a text.
            (default: :obj:`None`)
        text_weight (float, optional): :math:`\mu`. (default: :obj:`None`, chosen by
            :meth:`calibrate`, 200 before)
        text_l2_weight (float, optional): :math:`\lambda` of the texts, above 0.
            (default: :obj:`None`, chosen by :meth:`calibrate`, 10 before)
        max_bytes (int): The maximum memory of the matrices.
            (default: :obj:`4294967296`, 4 GiB)

    Raises:
        ValueError: If an id or an option is out of range, the texts are invalid, or the
            matrices need more memory than :obj:`max_bytes`.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import EASE
        >>> ratings = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 1, 2, 0]])
        >>> model = EASE(3, 4, ratings, l2_weight=1.0)
        >>> model.recommend(torch.tensor([2]), k=2, exclude=ratings).item
        tensor([[1, 3]])
        >>> model.score_items(torch.tensor([1])).round(decimals=2)  # a new user
        tensor([[0.4000, 0.0000, 0.3700, 0.0000]])
    """

    item_text: Optional[Tensor]

    _grids: ClassVar = {
        'ridge': (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4),
        'share': (0.0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98),
        'l2_weight': (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3),
        'text_weight': (0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3),
        'text_l2_weight': (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
    }
    _starts: ClassVar = {
        'ridge': 500.0,
        'share': 0.5,
        'l2_weight': 200.0,
        'text_weight': 200.0,
        'text_l2_weight': 10.0,
    }
    _defaults: ClassVar = {
        'l2_weight': 200.0,
        'text_weight': 200.0,
        'text_l2_weight': 10.0,
    }

    def __init__(
        self,
        num_users: int,
        num_items: int,
        interactions: Tensor,
        *,
        l2_weight: Optional[float] = None,
        item_text: Optional[Tensor] = None,
        text_weight: Optional[float] = None,
        text_l2_weight: Optional[float] = None,
        max_bytes: int = 2**32,
    ) -> None:
        options = {'l2_weight': l2_weight}
        text_options = {'text_weight': text_weight, 'text_l2_weight': text_l2_weight}
        if item_text is not None:
            options |= text_options
        super().__init__(num_users, num_items, interactions, options)
        for name in ('l2_weight', 'text_l2_weight'):
            value = options.get(name)
            if value is not None:
                check_positive(name, value)
        if item_text is not None:
            check_vectors('item_text', item_text, num_items, 'per item')
            item_text = unit_norm(item_text.detach().float())
        else:
            for name, value in text_options.items():
                if value is not None:
                    raise ValueError(
                        f"'{name}' must be None without 'item_text', got {value!r}"
                    )
        check_count('max_bytes', max_bytes)
        self.l2_weight = l2_weight
        self.text_weight = text_weight
        self.text_l2_weight = text_l2_weight
        self.max_bytes = max_bytes
        self.register_buffer('item_text', item_text, persistent=False)
        self._check_memory(self._precision(_ridge(self.options)))

    def _solve(self) -> Tensor:
        options = self.options
        l2_weight = options['l2_weight']
        text_weight = options.get('text_weight', 0.0)
        ridge = _ridge(options)
        dtype = self._precision(ridge)
        self._check_memory(dtype)
        inverse = self._invert(ridge, dtype)
        # Without the constraint, B = P (G + mu S) = 1 - lambda P - mu P (1 - S).
        diagonal = inverse.diagonal().clone()
        weight = inverse * -l2_weight
        if self.item_text is not None and text_weight > 0:
            text = self.item_text.to(inverse.dtype)
            mixed, scale = text_model(text, options['text_l2_weight'])
            residual = torch.addmm(inverse, inverse @ mixed, text.t(), alpha=-1)
            residual.div_(scale)
            weight.sub_(residual.mul_(text_weight))
            del residual
        weight.diagonal().add_(1)
        weight.sub_(inverse.mul_(weight.diagonal() / diagonal))
        weight.diagonal().zero_()
        return weight.float()

    def _axes(self) -> list[str]:
        # The inverse depends only on the sum of two options: if both are open, search
        # the sum and the share of the second.
        axes = super()._axes()
        if {'l2_weight', 'text_weight'} <= {*axes}:
            return ['ridge', 'share', *axes[2:]]
        return axes

    def _options_at(self, point: Options) -> Options:
        if 'ridge' in point:
            text_weight = point['ridge'] * point['share']
            weights = {
                'l2_weight': point['ridge'] - text_weight,
                'text_weight': text_weight,
            }
            point = point | weights
        return super()._options_at(point)

    def _trials(self, users: Tensor) -> Callable[[Options], Scorer]:
        gram = None if self._has_few_users() else self._gram()

        def invert_with(ridge: float) -> Tensor:
            return self._invert(ridge, self._precision(ridge), gram)

        items = UserItems(self.interactions, self.num_users, self.num_items)
        return EASETrials(users, items, self.item_text, invert_with)

    def _gram(self) -> Tensor:
        gram = torch.empty((self.num_items, self.num_items), device=self.device)
        for rows, shared in self._cooccurrences():
            gram[rows] = shared
        return gram

    def _has_few_users(self) -> bool:
        return _FEW_USERS * self.num_users <= self.num_items

    def _invert(
        self, ridge: float, dtype: torch.dtype, gram: Optional[Tensor] = None
    ) -> Tensor:
        r"""Invert :math:`\mathbf{X}^{\top} \mathbf{X}` plus a ridge."""
        if self._has_few_users():
            user, item = self.interactions
            size = (self.num_users, self.num_items)
            x = torch.zeros(size, dtype=dtype, device=self.device)
            x[user, item] = 1
            return invert_by_users(x, ridge)
        matrix = self._gram().to(dtype) if gram is None else gram.to(dtype, copy=True)
        matrix.diagonal().add_(ridge)
        return invert(matrix)

    def _score(
        self, solution: Tensor, row: Tensor, item: Tensor, num_rows: int
    ) -> Tensor:
        counts = torch.bincount(row, minlength=num_rows)
        return embedding_bag(item, solution, counts.cumsum(0) - counts, mode='sum')

    def _is_solvable(self, options: Options) -> bool:
        return self._memory(self._precision(_ridge(options))) <= self.max_bytes

    def _precision(self, ridge: float) -> torch.dtype:
        r"""Return a dtype that is precise enough to invert the matrix with this
        ridge."""
        user, item = self.interactions
        degree = torch.bincount(user, minlength=self.num_users).double()
        sums = degree.new_zeros(self.num_items).index_add_(0, item, degree[user])
        # The row sums of X^T X bound its largest eigenvalue.
        is_ill_conditioned = float(sums.max()) > _MAX_CONDITION * ridge
        return torch.float64 if is_ill_conditioned else torch.float32

    def _memory(self, dtype: torch.dtype) -> int:
        return _MATRICES * self.num_items**2 * dtype.itemsize

    def _check_memory(self, dtype: torch.dtype) -> None:
        needed = self._memory(dtype)
        if needed > self.max_bytes:
            advice = 'use ItemKNN, or fewer items (transforms.KCore)'
            if dtype is torch.float64:
                advice = "raise 'l2_weight', so that float32 is precise enough"
            raise ValueError(
                f"'max_bytes' must be at least {needed} for {_MATRICES} matrices of "
                f'{self.num_items} x {self.num_items} items in {dtype}, got '
                f'{self.max_bytes}: raise it if there is enough memory, or {advice}'
            )


def _ridge(options: Options) -> float:
    return options['l2_weight'] + options.get('text_weight', 0.0)
