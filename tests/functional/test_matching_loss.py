from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pyg_irllrec.functional import matching_loss


def test_equals_soft_cross_entropy():
    student, teacher = torch.randn(5, 4), torch.randn(5, 4)
    expected = F.cross_entropy(student, teacher.softmax(dim=-1), reduction='none')
    loss = matching_loss(student, teacher, reduction='none')
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(matching_loss(student, teacher), expected.mean())


def test_is_smallest_if_student_and_teacher_agree():
    student = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    matching_loss(student, student).backward()
    torch.testing.assert_close(student.grad, torch.zeros(5, 4, dtype=torch.float64))


def test_the_teacher_gets_no_gradient():
    student = torch.randn(5, 4, requires_grad=True)
    teacher = torch.randn(5, 4, requires_grad=True)
    matching_loss(student, teacher).backward()
    assert teacher.grad is None and student.grad is not None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'teacher': torch.randn(4, 4)}, "'teacher' must have the shape of 'student'"),
        ({'teacher': torch.ones(5, 4).int()}, "'teacher' must hold floating-point"),
        ({'student': torch.ones(5, 4).int()}, "'student' must hold floating-point"),
        ({'student': torch.randn(4)}, "'student' must be a matrix"),
        ({'reduction': 'max'}, "'reduction' must be one of 'none', 'mean', 'sum', got"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = dict.fromkeys(('student', 'teacher'), torch.randn(5, 4))
    with pytest.raises(ValueError, match=message):
        matching_loss(**{**arguments, **change})
