r"""Types that the whole package shares, and the names that its own data uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch_geometric.data import Data, HeteroData

EdgeType = tuple[str, str, str]
"""Source node type, relation and target node type."""

GraphData = Union[Data, HeteroData]

NodeId = Union[int, str]
"""The original id of one node."""

Ids = Union[Tensor, list[str]]
"""The original ids of all nodes of a type, integers or strings."""

PathLike = Union[str, os.PathLike[str]]

IntArray = npt.NDArray[np.int64]

FloatArray = npt.NDArray[np.float64]

TextEncoder = Callable[[Sequence[str]], npt.NDArray[Any]]
"""Turns texts into an array with one row per text."""

DataTransform = Callable[[HeteroData], HeteroData]

SIDES = ('user', 'item')
"""Both sides of an interaction, and their node types in our own datasets."""

RATES: EdgeType = ('user', 'rates', 'item')
"""The edge type of interactions in our own datasets."""

INTENT = 'intent'
"""The node type of the intents of :class:`~pyg_irllrec.transforms.IntentNodes`."""
