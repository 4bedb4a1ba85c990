from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Optional

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.utils.checks import check_positive
from pyg_irllrec.utils.edge_store import check_hetero
from pyg_irllrec.utils.node_data import check_sides, find_sides, read_vectors


@functional_transform('irllrec_reduce_text')
class ReduceText(BaseTransform):
    r"""Narrows the vectors of users and items by one truncated SVD over all of them,
    so that they go on sharing a space (functional name: :obj:`irllrec_reduce_text`).
    The share of variance that is kept is :obj:`data.profile_explained_variance`,
    after :obj:`target`; below a half there is a warning.

    Args:
        dim (int): The new width.
        target (str): The name of the vectors, of shape :math:`(N, D_t)` in any
            floating-point type. They come back in :obj:`float32`, of shape
            :math:`(N, \text{dim})`. (default: :obj:`"profile"`)
        seed (int): The seed of the randomised SVD. (default: :obj:`0`)
        sides (sequence of str, optional): The types of nodes that have vectors.
            (default: :obj:`None`, users and items, found by their interactions)

    Raises:
        ValueError: If vectors are missing, not finite or of several widths, or if
            :obj:`dim` is above their width or number.
    """

    def __init__(
        self,
        dim: int,
        target: str = 'profile',
        seed: int = 0,
        sides: Optional[Sequence[str]] = None,
    ) -> None:
        check_positive('dim', dim)
        self.dim = dim
        self.target = target
        self.seed = seed
        self.sides = None if sides is None else check_sides(sides)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with narrower vectors."""
        check_hetero(data, type(self).__name__)
        sides = find_sides(data, self.sides)
        parts = [read_vectors(data, side, self.target) for side in sides]
        widths = [part.size(1) for part in parts]
        if len(set(widths)) > 1:
            raise ValueError(
                f"'{self.target}' must have one width for {', '.join(sides)}, got "
                f'{", ".join(map(str, widths))}'
            )
        stacked = torch.cat(parts).cpu().numpy()
        if self.dim > min(stacked.shape):
            raise ValueError(
                f"'dim' must be at most {min(stacked.shape)}, as '{self.target}' has "
                f'{stacked.shape[0]} rows of width {stacked.shape[1]}, got {self.dim}'
            )
        svd = TruncatedSVD(self.dim, random_state=self.seed)
        with np.errstate(divide='ignore', invalid='ignore'):
            reduced = torch.from_numpy(svd.fit_transform(stacked)).float()
        kept = float(svd.explained_variance_ratio_.sum())
        kept = kept if np.isfinite(kept) else 1.0  # All rows are one: nothing is lost.
        if kept < 0.5:
            warnings.warn(
                f'{self.dim} dimensions keep {kept:.0%} of the variance of '
                f"'{self.target}': a larger 'dim' keeps more",
                stacklevel=3,
            )
        setattr(data, f'{self.target}_explained_variance', kept)
        for side, part, old in zip(
            sides, reduced.split([len(part) for part in parts]), parts
        ):
            data[side][self.target] = part.clone().to(old.device)
        return data

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.dim}, target={self.target!r}, '
            f'seed={self.seed}, sides={self.sides})'
        )
