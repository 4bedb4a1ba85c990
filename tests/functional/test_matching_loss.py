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


def test_is_least_where_student_and_teacher_agree():
    student = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    matching_loss(student, student).backward()
    torch.testing.assert_close(student.grad, torch.zeros(5, 4, dtype=torch.float64))


def test_the_teacher_gets_no_gradient():
    student = torch.randn(5, 4, requires_grad=True)
    teacher = torch.randn(5, 4, requires_grad=True)
    matching_loss(student, teacher).backward()
    assert teacher.grad is None and student.grad is not None


def test_wrong_shape():
    with pytest.raises(ValueError, match="'teacher' must have the shape of 'student'"):
        matching_loss(torch.randn(5, 4), torch.randn(4, 4))
