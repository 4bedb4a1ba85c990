from __future__ import annotations

from typing import ClassVar, Optional

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.nn.baselines._closed_form import ClosedForm, Options
from pyg_irllrec.utils.checks import check_count, check_positive, check_vectors

_MATRICES = 3  # Of items x items that are in memory at once.
_MAX_CONDITION = 1e4  # Beyond which float32 loses too many digits.


class EASE(ClosedForm):
    r"""The linear model of the `"Embarrassingly Shallow Autoencoders for Sparse Data"
    <https://arxiv.org/abs/1905.03375>`_ paper, which is hard to beat where there are
    few items. Scores are :math:`\mathbf{X} \mathbf{B}`, where :math:`\mathbf{B}`
    predicts interactions from the others of the same user:

    .. math::
        \min_{\mathbf{B}} \|\mathbf{X} - \mathbf{X} \mathbf{B}\|^2 + \lambda
        \|\mathbf{B}\|^2 + \mu \|\mathbf{B} - \mathbf{S}\|^2 \quad \text{with} \quad
        \text{diag}(\mathbf{B}) = 0

    :math:`\mathbf{S}` is the same model of the texts of items in place of
    interactions, :math:`\mathbf{X}^{\top} \mathbf{X}` being the cosines of texts and
    :math:`\lambda` :obj:`text_l2_weight`; without texts :math:`\mu = 0`.

    It is solved exactly, in :math:`O(I^3)`, when it first scores. Memory is three
    matrices of :math:`I \times I` while solving, one afterwards. They are in
    :obj:`float32`, and in :obj:`float64` while solving where :math:`\lambda` is so
    small that :obj:`float32` is not precise enough.

    The interactions and the texts belong to the model: they move with it but are not
    saved with it, and neither is the solution. What :obj:`state_dict()` holds is the
    options that :meth:`calibrate` has chosen: to load it, build the model from the same
    interactions first.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        interactions (torch.Tensor): User and item ids of *training* interactions, of
            shape :math:`(2, |\mathcal{E}|)`; repeated ones count once.
        l2_weight (float, optional): :math:`\lambda`, above 0. (default: :obj:`None`,
            chosen by :meth:`calibrate`, and 200 until then)
        item_text (torch.Tensor, optional): Text embeddings of items, of shape
            :math:`(I, D_t)`; a row of zeros is an item without a text.
            (default: :obj:`None`)
        text_weight (float, optional): :math:`\mu`. (default: :obj:`None`, chosen by
            :meth:`calibrate`, and 200 until then)
        text_l2_weight (float, optional): :math:`\lambda` of the texts, above 0.
            (default: :obj:`None`, chosen by :meth:`calibrate`, and 10 until then)
        max_bytes (int): The most memory to take for the matrices.
            (default: :obj:`4294967296`, 4 GiB)

    Raises:
        ValueError: If an id or an option is out of range, the texts do not fit, or the
            matrices need more memory than :obj:`max_bytes`.
    """

    item_text: Optional[Tensor]

    _grids: ClassVar = {
        'l2_weight': (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3),
        'text_weight': (0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3),
        'text_l2_weight': (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0),
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
        of_text = {'text_weight': text_weight, 'text_l2_weight': text_l2_weight}
        if item_text is not None:
            options |= of_text
        super().__init__(num_users, num_items, interactions, options)
        for name in ('l2_weight', 'text_l2_weight'):
            value = options.get(name)
            if value is not None:
                check_positive(name, value)
        if item_text is not None:
            check_vectors('item_text', item_text, num_items, 'per item')
            item_text = unit_norm(item_text.detach().float())
        else:
            for name, value in of_text.items():
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
        self._check_memory(self._precision(self.options))

    def _solve(self) -> Tensor:
        options = self.options
        l2_weight = options['l2_weight']
        text_weight = options.get('text_weight', 0.0)
        dtype = self._precision(options)
        self._check_memory(dtype)
        size = (self.num_items, self.num_items)
        gram = torch.empty(size, device=self.device)
        for rows, shared in self._cooccurrences():
            gram[rows] = shared
        gram = gram.to(dtype)
        gram.diagonal().add_(l2_weight + text_weight)
        inverse = _inverse(gram)
        del gram
        # B without the constraint is P (G + mu S) = 1 - lambda P - mu P (1 - S).
        diagonal = inverse.diagonal().clone()
        weight = inverse * -l2_weight
        if self.item_text is not None and text_weight > 0:
            residual = _residual(
                inverse, self.item_text.to(inverse.dtype), options['text_l2_weight']
            )
            weight.sub_(residual.mul_(text_weight))
            del residual
        weight.diagonal().add_(1)
        weight.sub_(inverse.mul_(weight.diagonal() / diagonal))
        weight.diagonal().zero_()
        return weight.float()

    def _score(
        self, solution: Tensor, row: Tensor, item: Tensor, num_rows: int
    ) -> Tensor:
        counts = torch.bincount(row, minlength=num_rows)
        return embedding_bag(item, solution, counts.cumsum(0) - counts, mode='sum')

    def _is_solvable(self, options: Options) -> bool:
        return self._memory(self._precision(options)) <= self.max_bytes

    def _precision(self, options: Options) -> torch.dtype:
        r"""The dtype that is precise enough to solve it with these options."""
        user, item = self.interactions
        degree = torch.bincount(user, minlength=self.num_users).double()
        sums = degree.new_zeros(self.num_items).index_add_(0, item, degree[user])
        # The sums of the rows of X^T X, which bound its largest eigenvalue.
        ridge = options['l2_weight'] + options.get('text_weight', 0.0)
        needs_more = float(sums.max()) > _MAX_CONDITION * ridge
        return torch.float64 if needs_more else torch.float32

    def _memory(self, dtype: torch.dtype) -> int:
        return _MATRICES * self.num_items**2 * dtype.itemsize

    def _check_memory(self, dtype: torch.dtype) -> None:
        needed = self._memory(dtype)
        if needed > self.max_bytes:
            advice = 'take ItemKNN, or fewer items (transforms.KCore)'
            if dtype is torch.float64:
                advice = "raise 'l2_weight', with which float32 is precise enough"
            raise ValueError(
                f"'max_bytes' must be at least {needed} for {_MATRICES} matrices of "
                f'{self.num_items} x {self.num_items} items in {dtype}, got '
                f'{self.max_bytes}: raise it if there is as much memory, or {advice}'
            )


def _inverse(matrix: Tensor) -> Tensor:
    r"""The inverse of a symmetric positive definite matrix, which is overwritten."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info) != 0:
        raise ValueError(
            "'l2_weight' must be larger for these interactions: with it "
            'the matrix of co-occurrences cannot be inverted'
        )
    return torch.cholesky_inverse(factor, out=matrix)


def _residual(inverse: Tensor, text: Tensor, l2_weight: float) -> Tensor:
    r"""The product of a matrix with :math:`\mathbf{1} - \mathbf{S}`, where
    :math:`\mathbf{S}` is the model of texts. With few columns of text the inverse that
    it needs is one of low rank, :math:`(\mathbf{T} \mathbf{T}^{\top} + \rho)^{-1} =
    (1 - \mathbf{T} \mathbf{M} \mathbf{T}^{\top}) / \rho`."""
    small = text.t() @ text
    small.diagonal().add_(l2_weight)
    mixed = torch.linalg.solve(small, text.t()).t()  # T M
    diagonal = 1 - (mixed * text).sum(dim=1)
    return torch.addmm(inverse, inverse @ mixed, text.t(), alpha=-1).div_(diagonal)
