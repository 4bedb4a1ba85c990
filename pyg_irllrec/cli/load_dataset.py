from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.datasets import IRLLRecDataset, SyntheticIntents
from pyg_irllrec.utils.checks import check_choice

DATASET_NAMES = ('synthetic', *IRLLRecDataset.names)


def load_dataset(
    name: str,
    root: Optional[Path] = None,
    texts: Sequence[str] = (),
    seed: int = 0,
) -> HeteroData:
    r"""A dataset by name, split, with the vectors of its texts.

    Args:
        name (str): One of :obj:`DATASET_NAMES`.
        root (pathlib.Path, optional): The folder of the authors' datasets, which all
            but :obj:`"synthetic"` need. (default: :obj:`None`)
        texts (sequence of str): The texts that must be there. (default: :obj:`()`)
        seed (int): The seed of :obj:`"synthetic"`. (default: :obj:`0`)

    Raises:
        ValueError: If the name is unknown, or the folder is not given.
        FileNotFoundError: If a file is missing.
    """
    check_choice('dataset', name, DATASET_NAMES)
    if name == 'synthetic':
        return SyntheticIntents(seed=seed)[0]
    if root is None:
        raise ValueError(f"--root must name the folder that holds '{name}', got none")
    return IRLLRecDataset(str(root), name, texts=sorted(texts))[0]
