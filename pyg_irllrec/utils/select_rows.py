from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.checks import check_integer


def select_rows(value: Any, index: Any) -> Any:
    r"""Select rows of any container with one row per node or edge. The result has the
    type, dtype and device of :obj:`value`, and the order of :obj:`index`.

    Args:
        value (torch.Tensor or numpy.ndarray or list or tuple or object): The rows.
            Any other object needs a length and a method :obj:`take` that accepts an
            array of row numbers.
        index (torch.Tensor or numpy.ndarray): Zero-based row numbers of shape
            :math:`(M)`.

    Raises:
        ValueError: If :obj:`value` has no rows, or :obj:`index` is not a vector of
            valid row numbers.

    Example:
        >>> import torch
        >>> from pyg_irllrec.utils import select_rows
        >>> select_rows(['ann', 'bob', 'eve'], torch.tensor([2, 0]))
        ['eve', 'ann']
        >>> select_rows(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([2, 0]))
        tensor([[3.],
                [1.]])
    """
    is_sparse = isinstance(index, Tensor) and index.layout is not torch.strided
    if not isinstance(index, (Tensor, np.ndarray)) or is_sparse:
        raise ValueError(
            "'index' must be a dense tensor or an array of row numbers, got "
            f'{type(index).__name__}'
        )
    index = torch.as_tensor(index)
    check_integer('index', index)
    index = index.long()
    if index.dim() != 1:
        raise ValueError(f"'index' must be a vector, got shape {tuple(index.shape)}")
    count = num_rows(value)
    if count is None:
        raise ValueError(
            "'value' must be a tensor, an array, a list, a tuple or an object with a "
            f"length and a method 'take', got {type(value).__name__} without rows"
        )
    check_node_ids(index, count, 'index')
    if isinstance(value, Tensor):
        return value.index_select(0, index.to(value.device))
    if isinstance(value, (list, tuple)):
        return type(value)([value[row] for row in index.tolist()])
    rows = index.cpu().numpy()
    return value[rows] if isinstance(value, np.ndarray) else value.take(rows)


def num_rows(value: Any) -> Optional[int]:
    r"""The number of rows of a value for :func:`select_rows`, or :obj:`None` if it has
    no rows."""
    if isinstance(value, (Tensor, np.ndarray)):
        return int(value.shape[0]) if value.ndim > 0 else None
    # NumPy scalars have a method take() too, and texts among them a length.
    takes = hasattr(value, 'take') and not isinstance(value, np.generic)
    if isinstance(value, (list, tuple)) or (takes and hasattr(value, '__len__')):
        return len(value)
    return None
