from __future__ import annotations

import torch

from benchmarks import plain
from pyg_irllrec.functional import info_nce, intent_propagate
from pyg_irllrec.functional.info_nce import IMPLEMENTATIONS


def rows(number: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, 4, generator=generator, dtype=torch.float64)


def test_info_nce_equals_the_oracle():
    query, key, keys = rows(5, 0), rows(5, 1), rows(7, 2)
    weight, many = rows(5, 3)[:, 0].abs(), rows(7, 4)[:, 0].abs()
    for options in (
        {},
        {'keys': keys},
        {'weight': weight, 'key_weight': weight},
        {'keys': keys, 'weight': weight, 'key_weight': many},
    ):
        options |= {'temperature': 0.3}
        expected = info_nce(query, key, impl='eager', **options)
        torch.testing.assert_close(plain.info_nce(query, key, **options), expected)


def test_intent_propagate_equals_the_oracle():
    x, intent = rows(5, 0), rows(5, 1)
    # No edge leads to nodes 2 and 4.
    source, target = torch.tensor([[0, 1, 2, 2], [1, 0, 1, 3]])
    edge_index = torch.stack([source, target])
    expected = intent_propagate(x, intent, edge_index, impl='eager')
    out = plain.intent_propagate(x, intent, source, target)
    torch.testing.assert_close(out, expected)


def test_info_nce_keeps_one_matrix_for_the_backward_pass():
    query = torch.randn(300, 8, requires_grad=True)
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        plain.info_nce(query, query.detach())
    assert sum(size >= 300 * 300 for size in kept) == 1


def test_plain_losses_are_restored():
    eager = IMPLEMENTATIONS['eager']
    with plain.plain_losses():
        assert IMPLEMENTATIONS['eager'] is plain.info_nce
    assert IMPLEMENTATIONS['eager'] is eager
