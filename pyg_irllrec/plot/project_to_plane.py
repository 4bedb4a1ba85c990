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
    r"""Project vectors to two dimensions by t-SNE, with the cosine distance.

    Args:
        groups (sequence of torch.Tensor): Groups of vectors, each of shape
            :math:`(N_g, d)`. All groups are projected together.

    Returns:
        The points of each group, of shape :math:`(N_g, 2)`.

    Raises:
        ValueError: If a group is not a matrix, the widths differ, or a value is not
            finite.

    Example:
        >>> import torch
        >>> from pyg_irllrec.plot import project_to_plane
        >>> users, items = project_to_plane([torch.randn(6, 8), torch.randn(4, 8)])
        >>> users.shape, items.shape
        ((6, 2), (4, 2))
    """
    groups = list(each_of('groups', groups, Tensor))
    for place, group in enumerate(groups):
        check_matrix(f'groups[{place}]', group, may_be_empty=True)
        check_finite(f'groups[{place}]', group)
    if len({group.size(1) for group in groups}) != 1:
        widths = ' and '.join(str(group.size(1)) for group in groups)
        raise ValueError(
            f"'groups' must have vectors of one width, got {widths or 'none'}"
        )
    points = normalize(torch.cat(groups)).numpy(force=True)
    ends = np.cumsum([len(group) for group in groups])
    if len(points) < 4:  # Too few for t-SNE.
        return np.split(np.eye(len(points), 2), ends[:-1])
    perplexity = min(30.0, (len(points) - 1) / 3)
    tsne = TSNE(init='pca', metric='cosine', perplexity=perplexity, random_state=0)
    return np.split(tsne.fit_transform(points), ends[:-1])
