from __future__ import annotations

import numpy as np
import torch

from pyg_irllrec.plot import project_to_plane


def test_group_by_group():
    groups = [torch.randn(5, 8, requires_grad=True), torch.randn(9, 8)]
    points = project_to_plane(groups)
    assert [at.shape for at in points] == [(5, 2), (9, 2)]
    again = project_to_plane(groups)
    assert all(np.array_equal(x, y) for x, y in zip(points, again))


def test_few_points():
    for number in (1, 2, 3, 4, 5):
        one, rest = project_to_plane([torch.randn(1, 8), torch.randn(number - 1, 8)])
        assert one.shape == (1, 2) and rest.shape == (number - 1, 2)
