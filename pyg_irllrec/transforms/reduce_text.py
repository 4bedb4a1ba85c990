from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.argument_checks import check_name
from pyg_irllrec.utils.checks import check_count, check_seed
from pyg_irllrec.utils.node_data import check_sides, read_vectors
from pyg_irllrec.utils.warn_caller import warn_caller


@functional_transform('irllrec_reduce_text')
class ReduceText(InteractionTransform):
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
        edge_type (tuple, optional): The type of the interactions by which
            :obj:`sides` are found. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, found likewise)

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
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_count('dim', dim)
        self.dim = dim
        check_name('target', target)
        self.target = target
        check_seed(seed, bits=32)
        self.seed = seed
        self.sides = None if sides is None else check_sides(sides)
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with narrower vectors."""
        sides = self._find_sides(data, self.sides)
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
            warn_caller(
                f'{self.dim} dimensions keep {kept:.0%} of the variance of '
                f"'{self.target}': a larger 'dim' keeps more"
            )
        setattr(data, f'{self.target}_explained_variance', kept)
        for side, part, old in zip(
            sides, reduced.split([len(part) for part in parts]), parts
        ):
            data[side][self.target] = part.clone().to(old.device)
        return data
