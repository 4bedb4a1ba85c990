from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.manifold import TSNE
from torch import Tensor
from torch.nn.functional import normalize

from pyg_irllrec.typing import FloatArray
from pyg_irllrec.utils.argument_checks import each_of
from pyg_irllrec.utils.checks import check_finite, check_matrix


def project_to_plane(groups: Sequence[Tensor]) -> list[FloatArray]:
    r"""Vectors in two dimensions, by t-SNE of their directions.

    Args:
        groups (sequence of torch.Tensor): The vectors, in groups that are projected
            together, each of shape :math:`(N_g, d)`.

    Returns:
        The points of each group, of shape :math:`(N_g, 2)`.

    Raises:
        ValueError: If a group holds anything else, or vectors are not finite.
    """
    groups = list(each_of('groups', groups, Tensor))
    for place, group in enumerate(groups):
        check_matrix(f'groups[{place}]', group, may_be_empty=True)
        check_finite(f'groups[{place}]', group)
    if len({group.size(1) for group in groups}) != 1:
        raise ValueError("'groups' must hold vectors of one width")
    points = normalize(torch.cat(groups)).numpy(force=True)
    ends = np.cumsum([len(group) for group in groups])
    if len(points) < 4:  # Too few to have neighbours.
        return np.split(np.eye(len(points), 2), ends[:-1])
    perplexity = min(30.0, (len(points) - 1) / 3)
    tsne = TSNE(init='pca', metric='cosine', perplexity=perplexity, random_state=0)
    return np.split(tsne.fit_transform(points), ends[:-1])
