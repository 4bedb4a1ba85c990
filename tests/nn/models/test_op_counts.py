"""The number of kernels that a training step launches on CUDA, counted on the CPU. For
small data, launches take most of the time of a step."""

from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import BIGCF, DCCF, SGL, IRLLRec, LightGCN, SimGCL
from pyg_irllrec.utils import bipartite_edge_index
from tests.kernel_counts import count_kernels

NUM_USERS, NUM_ITEMS, BATCH = 300, 280, 300

# The counts reached, plus 5 % for other versions of torch.
BOUNDS = {LightGCN: 289, SGL: 396, SimGCL: 425, DCCF: 640, BIGCF: 396}


@pytest.mark.parametrize('backbone', BOUNDS)
def test_kernels_of_a_step_of_the_full_method(backbone):
    generator = torch.Generator().manual_seed(0)

    def draw(count, size):
        return torch.randint(count, (size,), generator=generator)

    edges = torch.stack([draw(NUM_USERS, 3000), draw(NUM_ITEMS, 3000)])
    texts = torch.randn(2, NUM_USERS + NUM_ITEMS, 24, generator=generator)
    model = IRLLRec(
        backbone(NUM_USERS, NUM_ITEMS, 32, num_intents=16),
        bipartite_edge_index(edges, NUM_USERS, NUM_ITEMS),
        profile=texts[0],
        intent=texts[1],
    )
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    items = draw(NUM_ITEMS, 2 * BATCH).view(2, BATCH)
    triplets = torch.cat([draw(NUM_USERS, BATCH).unsqueeze(0), items])

    def step():
        optimizer.zero_grad()
        model.loss(triplets).total.backward()
        optimizer.step()

    counts = count_kernels(step)
    assert 200 < counts.total() <= BOUNDS[backbone], counts.most_common(30)


def test_which_operations_count():
    x = torch.randn(6, 4, requires_grad=True)
    weights = [torch.zeros(3), torch.zeros(2)]

    def work():
        assert x.is_cuda and not x.is_cpu and x.device.type == 'cuda'
        y = x.t()[1:] * 2  # A view launches no kernel.
        y.exp().sum().backward()
        torch.empty(3, device=x.device)
        torch._foreach_add_(weights, 1)

    counts = count_kernels(work)
    assert counts['exp'] == 1 and counts['_foreach_add_'] == 1
    # mul, exp, sum; zeros and a copy for the slice; two products; a sum of gradients.
    assert 7 <= counts.total() <= 10, counts
    assert x.device.type == 'cpu'
