from __future__ import annotations

from typing import Any

import pytest
import torch

from pyg_irllrec.functional import info_nce
from pyg_irllrec.functional._kernels import info_nce_moments_sum as file
from tests.kernel_counts import count_kernels


@pytest.mark.parametrize('options', [{}, {'eps': 1e-3, 'weight': torch.ones(50)}])
def test_few_kernels_for_any_number_of_rows(options: dict[str, Any]):
    query, key = (torch.randn(50, 4).requires_grad_() for _ in range(2))

    def step() -> None:
        query.grad = key.grad = None
        info_nce(query, key, impl='moments', **options).backward()

    counts = count_kernels(step)
    assert counts.total() <= (50 if options else 38), counts


def test_blocks_are_larger_on_a_gpu():
    sizes = {
        device: file._parts(torch.empty(2**21, 64, device=device))[0].stop
        for device in ('cpu', 'meta')
    }
    assert sizes == {'cpu': 2**14, 'meta': 2**20}
