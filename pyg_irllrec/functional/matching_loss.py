from __future__ import annotations

from torch import Tensor

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.utils.checks import check_choice, check_matrix, check_same_shape


def matching_loss(
    student: Tensor, teacher: Tensor, *, reduction: str = 'mean'
) -> Tensor:
    r"""The soft-label cross entropy of momentum distillation, which the
    `"Intent Representation Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper calls interaction-text matching:

    .. math::
        \ell_k = -\sum_c \text{softmax}(\mathbf{t}_k)_c \,
        \log \text{softmax}(\mathbf{s}_k)_c

    The teacher gets no gradient. The loss is computed in at least :obj:`float32`.

    Args:
        student (torch.Tensor): The logits :math:`\mathbf{s}`, of shape
            :math:`(B, d)`.
        teacher (torch.Tensor): The logits :math:`\mathbf{t}`, of shape
            :math:`(B, d)`.
        reduction (str): :obj:`"none"`, :obj:`"mean"` or :obj:`"sum"` over rows.
            (default: :obj:`"mean"`)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import matching_loss
        >>> student, teacher = torch.zeros(8, 4), torch.randn(8, 4)
        >>> matching_loss(student, teacher)  # A uniform student: log(4).
        tensor(1.3863)
    """
    check_matrix('student', student)
    check_matrix('teacher', teacher)
    check_same_shape('teacher', teacher, 'student', student)
    check_choice('reduction', reduction, ('none', 'mean', 'sum'))
    return unchecked_matching_loss(student, teacher, reduction)


def unchecked_matching_loss(
    student: Tensor, teacher: Tensor, reduction: str = 'mean'
) -> Tensor:
    r"""The same without checks, for callers that have checked their input."""
    if student.dtype.itemsize < 4 or teacher.dtype.itemsize < 4:
        student, teacher = at_least_float32(student), at_least_float32(teacher)
    target = teacher.detach().softmax(dim=-1)
    loss = -(target * student.log_softmax(dim=-1)).sum(dim=-1)
    return reduce_rows(loss, reduction)
