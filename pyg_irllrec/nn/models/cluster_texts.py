from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pyg_irllrec.functional import propagate
from pyg_irllrec.utils.checks import check_count

_WIDTH = 64  # Of a text: more is noise, and time.
_ROWS_PER_CLUSTER = 256  # More move no centre.


def cluster_texts(
    texts: Sequence[Tensor],
    num_users: int,
    edge_index: Tensor,
    edge_weight: Tensor,
    num_clusters: int,
    num_layers: int = 3,
) -> Tensor:
    r"""Clusters users and items by their texts and those of the nodes around them, on
    the same graph that embeddings are propagated over:

    .. math::
        \mathbf{x} = n \left( \sum_{l=0}^{L} \hat{\mathbf{A}}^l \mathbf{T} \right)

    A text alone is a noisy witness of what its node is about. The rows of
    :math:`\mathbf{T}` are of unit length, less the mean of their side, so that users
    and items that are about the same share a cluster. It is k-means, seeded, and draws
    nothing from torch's generator.

    Args:
        texts (sequence of torch.Tensor): Text embeddings of all nodes, users first,
            each of shape :math:`(|\mathcal{V}|, D_t)`, one at least.
        num_users (int): The number of users.
        edge_index (torch.Tensor): The undirected user-item graph.
        edge_weight (torch.Tensor): Its normalised weights.
        num_clusters (int): The number of clusters, at most.
        num_layers (int): :math:`L`. (default: :obj:`3`)

    Returns:
        The number of each node's cluster, of shape :math:`(|\mathcal{V}|)`.

    Raises:
        ValueError: If a number is out of range.
    """
    # Here, as few who import a layer need it, and it takes a second.
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
        # Where fewer texts are distinct, some clusters stay empty.
        warnings.simplefilter('ignore', ConvergenceWarning)
        found = KMeans(count, n_init=10, random_state=0).fit(sample)
    return torch.from_numpy(found.predict(rows)).long().to(edge_index.device)


def _reduce(text: Tensor, num_users: int) -> Tensor:
    r"""Texts of unit length less the mean of their side, in few columns."""
    from sklearn.decomposition import PCA

    unit = normalize(text.detach().float())
    present = (unit != 0).any(dim=1, keepdim=True)  # Who has no text stays at zero.
    for side in (slice(num_users), slice(num_users, None)):
        count = present[side].sum().clamp(min=1)
        unit[side] -= unit[side].sum(dim=0) / count * present[side]
    if unit.size(1) <= _WIDTH:
        return unit
    pca = PCA(min(_WIDTH, len(unit)), random_state=0)
    reduced = torch.from_numpy(pca.fit_transform(unit.numpy(force=True)))
    return reduced.to(unit.device)
