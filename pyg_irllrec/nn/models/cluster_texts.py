from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pyg_irllrec.functional import propagate
from pyg_irllrec.utils.checks import check_count

_WIDTH = 64  # Columns of a reduced text: more add noise and time.
_ROWS_PER_CLUSTER = 256  # More rows do not move the centres.


def cluster_texts(
    texts: Sequence[Tensor],
    num_users: int,
    edge_index: Tensor,
    edge_weight: Tensor,
    num_clusters: int,
    num_layers: int = 3,
) -> Tensor:
    r"""Cluster users and items by their texts and those of their neighbours in the
    graph:

    .. math::
        \mathbf{x} = n \left( \sum_{l=0}^{L} \hat{\mathbf{A}}^l \mathbf{T} \right)

    Neighbours reduce the noise of single texts. The rows of :math:`\mathbf{T}` have
    unit length, minus the mean of their side, so that similar users and items share a
    cluster. The clusters come from k-means with a fixed seed, which does not use
    torch's random number generator.

    Args:
        texts (sequence of torch.Tensor): At least one matrix of text embeddings of all
            nodes, users first, of shape :math:`(|\mathcal{V}|, D_t)`.
        num_users (int): The number of users.
        edge_index (torch.Tensor): The undirected user-item graph.
        edge_weight (torch.Tensor): The normalised edge weights.
        num_clusters (int): The maximum number of clusters.
        num_layers (int): :math:`L`. (default: :obj:`3`)

    Returns:
        The cluster of each node, of shape :math:`(|\mathcal{V}|)`.

    Raises:
        ValueError: If a number is out of range.
    """
    # Imported here: it takes a second, and few users of this package need it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    check_count('num_clusters', num_clusters)
    check_count('num_layers', num_layers, least=0)
    layer = torch.cat([_reduce(text, num_users) for text in texts], dim=1)
    total = layer
    for _ in range(num_layers):
        layer = propagate(layer, edge_index, edge_weight.to(layer.dtype))
        total = total + layer
    rows = normalize(total).numpy(force=True)
    count = min(num_clusters, len(rows))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    sample = rows[order[: _ROWS_PER_CLUSTER * count].numpy()]
    with warnings.catch_warnings():
        # With fewer distinct texts than clusters, some clusters stay empty.
        warnings.simplefilter('ignore', ConvergenceWarning)
        found = KMeans(count, n_init=10, random_state=0).fit(sample)
    return torch.from_numpy(found.predict(rows)).long().to(edge_index.device)


def _reduce(text: Tensor, num_users: int) -> Tensor:
    r"""Scale texts to unit length, subtract the mean of each side, and reduce the
    columns by PCA."""
    from sklearn.decomposition import PCA

    unit = normalize(text.detach().float())
    present = (unit != 0).any(dim=1, keepdim=True)  # Missing texts stay 0.
    for side in (slice(num_users), slice(num_users, None)):
        count = present[side].sum().clamp(min=1)
        unit[side] -= unit[side].sum(dim=0) / count * present[side]
    if unit.size(1) <= _WIDTH:
        return unit
    pca = PCA(min(_WIDTH, len(unit)), random_state=0)
    reduced = torch.from_numpy(pca.fit_transform(unit.numpy(force=True)))
    return reduced.to(unit.device)
