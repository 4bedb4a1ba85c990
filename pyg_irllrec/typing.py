r"""Types that the whole package shares, and the type names of its datasets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch_geometric.data import Data, HeteroData

EdgeType = tuple[str, str, str]
"""The source node type, the relation and the target node type."""

GraphData = Union[Data, HeteroData]

NodeId = Union[int, str]
"""The original id of one node."""

Ids = Union[Tensor, list[str]]
"""The original ids of all nodes of one type, integers or strings."""

PathLike = Union[str, os.PathLike[str]]

IntArray = npt.NDArray[np.int64]

FloatArray = npt.NDArray[np.float64]

TextEncoder = Callable[[Sequence[str]], npt.NDArray[Any]]
"""A function that converts texts to an array with one row per text."""

DataTransform = Callable[[HeteroData], HeteroData]

SIDES = ('user', 'item')
"""The two sides of an interaction, and their node types in the datasets of this
package."""

RATES: EdgeType = ('user', 'rates', 'item')
"""The edge type of interactions in the datasets of this package."""

INTENT = 'intent'
"""The node type of intents, as :class:`~pyg_irllrec.transforms.IntentNodes` adds
them."""
