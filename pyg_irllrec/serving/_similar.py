r"""Similar nodes, by the cosine of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.nn import Recommendation
from pyg_irllrec.utils.checks import check_count


@torch.no_grad()
def most_similar(embedding: Tensor, row: int, k: int) -> Recommendation:
    r"""Return the other rows with the largest cosines to a row, and these cosines, both
    of shape :math:`(k)`; all other rows if there are fewer.

    Raises:
        ValueError: If :obj:`k` is less than 1.
    """
    check_count('k', k)
    length = embedding.norm(dim=1)
    cosine = (embedding @ embedding[row]) / (length * length[row]).clamp(min=1e-30)
    cosine[row] = -torch.inf
    best = cosine.topk(min(int(k), embedding.size(0) - 1))
    return Recommendation(best.indices, best.values)
