from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA, TruncatedSVD
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.argument_checks import as_names, check_flag, check_name
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_fraction,
    check_seed,
)
from pyg_irllrec.utils.node_data import check_sides, read_vectors
from pyg_irllrec.utils.warn_caller import warn_caller


@functional_transform('irllrec_reduce_text')
class ReduceText(InteractionTransform):
    r"""Reduce the width of the vectors of users and items by one linear map, so that
    they still share a space (functional name: :obj:`irllrec_reduce_text`): a truncated
    SVD, or with :obj:`whiten=True` PCA whitening,

    .. math::
        \mathbf{y} = \mathbf{S}^{-1/2} \mathbf{V}^{\top} (\mathbf{x} -
        \boldsymbol{\mu}), \qquad s_j = (1 - \rho) \lambda_j + \rho
        \bar{\lambda},

    with the mean :math:`\boldsymbol{\mu}`, the principal axes :math:`\mathbf{V}` and
    the variances :math:`\lambda_j` along them. Vectors of language models point
    into a narrow cone, in which all cosines are similar; whitened vectors use every
    direction.

    The share of variance that is kept is stored in
    :obj:`data.profile_explained_variance`, named after :obj:`target`. A share below
    one half raises a warning.

    Args:
        dim (int): The new width.
        target (str): The attribute name of the vectors, of shape :math:`(N, D_t)` in
            any floating-point type. They are replaced by vectors of shape
            :math:`(N, \text{dim})` in :obj:`float32`. (default: :obj:`"profile"`)
        seed (int): The seed of the randomised SVD. (default: :obj:`0`)
        whiten (bool): Whether to scale every component to unit variance. Zero vectors,
            those of nodes without a text, are left out of the fit and stay zero.
            (default: :obj:`False`)
        shrinkage (float): The weight :math:`\rho` of the mean variance
            :math:`\bar{\lambda}` in the variance :math:`s_j` by which a component is
            scaled. It keeps the noise of weak components small. (default: :obj:`0.0`)
        fit_on (str or sequence of str, optional): The node types among :obj:`sides`
            that the map is fitted on, such as :obj:`"item"`. It is applied to all.
            (default: :obj:`None`, all)
        sides (sequence of str, optional): The node types that have vectors.
            (default: :obj:`None`, users and items, found by their interactions)
        edge_type (tuple, optional): The type of the interactions that determine
            :obj:`sides`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If vectors are missing, not finite or of different widths, or if
            :obj:`dim` exceeds their width or the number of vectors in the fit.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import ReduceText
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> data = ReduceText(8)(data)
        >>> data['user'].profile.shape, data['item'].profile.shape
        (torch.Size([12, 8]), torch.Size([10, 8]))
        >>> round(data.profile_explained_variance, 2)
        0.78
    """

    def __init__(
        self,
        dim: int,
        target: str = 'profile',
        seed: int = 0,
        whiten: bool = False,
        shrinkage: float = 0.0,
        fit_on: Union[str, Sequence[str], None] = None,
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
        check_flag('whiten', whiten)
        self.whiten = whiten
        check_fraction('shrinkage', shrinkage)
        if shrinkage > 0 and not whiten:
            raise ValueError(
                f"'shrinkage' must be 0 unless whiten=True, got {shrinkage!r}"
            )
        self.shrinkage = shrinkage
        self.fit_on = None if fit_on is None else as_names('fit_on', fit_on)
        if self.fit_on == ():
            raise ValueError(
                "'fit_on' must name at least one node type, or be None, got none"
            )
        self.sides = None if sides is None else check_sides(sides)
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with narrower vectors."""
        sides = self._find_sides(data, self.sides)
        for side in self.fit_on or ():
            check_choice('fit_on', side, sides)
        vectors = {side: read_vectors(data, side, self.target) for side in sides}
        widths = [part.size(1) for part in vectors.values()]
        if len(set(widths)) > 1:
            raise ValueError(
                f"'{self.target}' must have one width for {', '.join(sides)}, got "
                f'{", ".join(map(str, widths))}'
            )
        rows = torch.cat([vectors[side] for side in self.fit_on or sides]).cpu()
        if self.whiten:
            rows = rows[(rows != 0).any(dim=1)]
        if self.dim > min(rows.shape):
            raise ValueError(
                f"'dim' must be at most {min(rows.shape)}, because '{self.target}' has "
                f'{rows.size(0)} rows of width {rows.size(1)}, got {self.dim}'
            )
        mean, axes, kept = self._fit(rows.numpy())
        if kept < 0.5:
            warn_caller(
                f'{self.dim} dimensions keep {kept:.0%} of the variance of '
                f"'{self.target}': a larger 'dim' keeps more"
            )
        setattr(data, f'{self.target}_explained_variance', kept)
        for side, old in vectors.items():
            new = (old.cpu() - mean) @ axes
            if self.whiten:
                new[(old == 0).all(dim=1).cpu()] = 0
            data[side][self.target] = new.to(old.device)
        return data

    def _fit(self, rows: npt.NDArray[np.float32]) -> tuple[Tensor, Tensor, float]:
        r"""The mean to subtract, the matrix to multiply by, and the share of variance
        that is kept."""
        with np.errstate(divide='ignore', invalid='ignore'):
            if self.whiten:
                model = PCA(self.dim, random_state=self.seed).fit(rows)
                mean, axes = model.mean_, model.components_.T
                variance = model.explained_variance_
                shrunk = variance + self.shrinkage * (variance.mean() - variance)
                # A variance this small is only rounding error.
                is_sound = shrunk > 1e-10 * np.square(rows).mean()
                axes = np.where(is_sound, axes / np.sqrt(shrunk), 0)
            else:
                model = TruncatedSVD(self.dim, random_state=self.seed).fit(rows)
                mean, axes = np.zeros(rows.shape[1]), model.components_.T
        kept = float(model.explained_variance_ratio_.sum())
        if not np.isfinite(kept):  # All rows are equal: nothing is lost.
            kept = 1.0
        return torch.from_numpy(mean).float(), torch.from_numpy(axes).float(), kept
