r"""What pictures of embeddings share."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib import pyplot as plt
from sklearn.manifold import TSNE
from torch import Tensor
from torch.nn.functional import normalize


def in_plane(*groups: Tensor) -> list[np.ndarray]:
    """Vectors in two dimensions, by t-SNE of their directions, group by group."""
    points = normalize(torch.cat(groups)).numpy()
    ends = np.cumsum([len(group) for group in groups])
    if len(points) < 4:  # Too few to have neighbours.
        return np.split(np.eye(len(points), 2), ends[:-1])
    perplexity = min(30.0, (len(points) - 1) / 3)
    tsne = TSNE(init='pca', metric='cosine', perplexity=perplexity, random_state=0)
    return np.split(tsne.fit_transform(points), ends[:-1])


def label(axes: plt.Axes, at: np.ndarray, text: str, colour: object) -> None:
    """A text in the middle of points."""
    axes.annotate(
        text,
        np.median(at, axis=0),
        ha='center',
        fontsize=9,
        color='black',
        bbox={'boxstyle': 'round,pad=0.2', 'fc': colour, 'ec': 'none', 'alpha': 0.75},
    )
