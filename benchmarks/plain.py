r"""Plain PyTorch versions that the fast kernels are measured against.

They are the formulas as a reader of the paper would write them, and store nothing that
is not needed. They do not overflow at the temperatures of the benchmarks. The package's
own eager versions, the oracles of its tests, do not overflow at any temperature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional
from unittest.mock import patch

import torch
from torch import Tensor

from pyg_irllrec.functional.info_nce import IMPLEMENTATIONS
from pyg_irllrec.nn import BackboneOutput, IRLLRec, LightGCN
from pyg_irllrec.utils.adjacency import source_and_target


def unit(x: Tensor) -> Tensor:
    return x / (1e-8 + x.square().sum(dim=-1, keepdim=True)).sqrt()


def info_nce(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor] = None,
    weight: Optional[Tensor] = None,
    key_weight: Optional[Tensor] = None,
    temperature: float = 1.0,
    eps: float = 0.0,
    reduction: str = 'mean',
) -> Tensor:
    """Normalise, exponentiate all products, sum rows and take the log."""
    assert eps == 0 and reduction != 'none', 'not needed by any benchmark'
    query, key = unit(query) / temperature, unit(key)
    keys = key if keys is None else unit(keys)
    share = (query @ keys.t()).exp()
    total = share.sum(dim=1) if key_weight is None else share @ key_weight
    rows = total.log() - (query * key).sum(dim=1)
    if weight is None:
        return rows.mean() if reduction == 'mean' else rows.sum()
    return rows @ (weight / weight.sum() if reduction == 'mean' else weight)


def intent_propagate(
    x: Tensor, intent: Tensor, source: Tensor, target: Tensor
) -> Tensor:
    """Gather both ends of every edge, weight the messages and average them."""
    h = unit(intent)
    cosine = (h.index_select(0, source) * h.index_select(0, target)).sum(dim=1)
    alpha = (cosine + 1) / 2
    message = alpha.unsqueeze(1) * x.index_select(0, source)
    total = torch.zeros_like(x).index_add(0, target, message)
    weight = alpha.new_zeros(len(x)).index_add(0, target, alpha)
    return total / weight.clamp(min=1e-30).unsqueeze(1)


class PlainLightGCN(LightGCN):
    """LightGCN by products with one sparse matrix and by :func:`intent_propagate`."""

    adjacency: Optional[Tensor] = None

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        source, target = source_and_target(edge_index)
        if self.adjacency is None:
            index, size = torch.stack([target, source]), (len(x), len(x))
            adjacency = torch.sparse_coo_tensor(index, edge_weight, size)
            self.adjacency = adjacency.coalesce().to_sparse_csr()
        layers = [x]
        for _ in range(self.num_layers):
            layers.append(self.adjacency @ layers[-1])
        means = [
            intent_propagate(layer, self.intents(layer), source, target)
            for layer in layers[:-1]
        ]
        return BackboneOutput(sum(layers), sum(means) / len(means))


class PlainIRLLRec(IRLLRec):
    """IRLLRec whose text towers project all nodes in every step."""

    def _project(self, name: str, triplets: Tensor, sent: object) -> Tensor:
        projected: Tensor = getattr(self, f'{name}_projector')(getattr(self, name))
        return projected


@contextmanager
def plain_losses() -> Iterator[None]:
    """Make losses with impl='eager' use :func:`info_nce` of this module."""
    with patch.dict(IMPLEMENTATIONS, eager=info_nce):
        yield
