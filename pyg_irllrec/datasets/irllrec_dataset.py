from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Optional

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_irllrec.datasets._ingest.check_options import check_options
from pyg_irllrec.typing import RATES, DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import as_names
from pyg_irllrec.utils.checks import check_choice, check_finite, check_matrix
from pyg_irllrec.utils.safe_pickle import load_pickled_array
from pyg_irllrec.utils.warn_caller import warn_caller


class IRLLRecDataset(InMemoryDataset):
    r"""The data of the `"Intent Representation Learning with Large Language Model
    for Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper, read from its
    authors' own files. There is nothing to download: put the files under
    :obj:`root/name`.

    The :class:`~torch_geometric.data.HeteroData` has

    - :obj:`data['user', 'rates', 'item']` with :obj:`edge_index` (training),
      :obj:`val_edge_label_index` and :obj:`test_edge_label_index`, all of shape
      :math:`(2, |\mathcal{E}|)`, from :obj:`trn_mat.pkl`, :obj:`val_mat.pkl` and
      :obj:`tst_mat.pkl`;
    - :obj:`data['user'].profile` and :obj:`data['item'].profile` from
      :obj:`usr_emb_np.pkl` and :obj:`itm_emb_np.pkl`, and
      :obj:`data['user'].intent` and :obj:`data['item'].intent` from
      :obj:`user_intent_emb_3.pkl` and :obj:`item_intent_emb_3.pkl`: text
      embeddings of shape :math:`(U, D_t)` and :math:`(I, D_t)` in
      :obj:`float32`, if both files of a kind exist.

    Args:
        root (str or Path): The folder that contains all datasets.
        name (str): :obj:`"amazon"`, :obj:`"yelp"`, :obj:`"steam"` (of RLMRec) or
            :obj:`"movie"`.
        texts (sequence of str): The text embeddings that must exist:
            :obj:`"profile"`, :obj:`"intent"` or both. Others are read if they exist.
            (default: :obj:`()`)
        transform (callable, optional): A transform that is applied on every access.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If the file of a matrix, or of an embedding in :obj:`texts`,
            is missing.
        ValueError: If a file is damaged, would run code when it is unpickled, or does
            not match the others, or if all interactions of one matrix are in another. A
            warning counts interactions that are in two matrices.

    Example:
        >>> from pyg_irllrec.datasets import IRLLRecDataset
        >>> dataset = IRLLRecDataset('data', 'amazon')
        >>> dataset
        IRLLRecDataset('amazon')
        >>> dataset[0]['rates'].edge_index.shape
        torch.Size([2, 120464])
    """

    names = ('amazon', 'yelp', 'steam', 'movie')
    matrix_files: ClassVar = {
        'train': 'trn_mat.pkl',
        'val': 'val_mat.pkl',
        'test': 'tst_mat.pkl',
    }
    text_files: ClassVar = {
        'profile': ('usr_emb_np.pkl', 'itm_emb_np.pkl'),
        'intent': ('user_intent_emb_3.pkl', 'item_intent_emb_3.pkl'),
    }

    def __init__(
        self,
        root: PathLike,
        name: str,
        *,
        texts: Sequence[str] = (),
        transform: Optional[DataTransform] = None,
    ) -> None:
        check_options(root, transform, force_reload=False)
        check_choice('name', name, self.names)
        texts = as_names('texts', texts)
        for kind in texts:
            check_choice('texts', kind, tuple(self.text_files))
        self.name = name
        super().__init__(str(root), transform)
        self._check_files(texts)
        self.data, self.slices = self.collate([self._read()])

    @property
    def raw_dir(self) -> str:
        r"""The folder with the authors' files of this dataset."""
        return str(Path(self.root) / self.name)

    def missing_text_files(self, kind: str) -> list[str]:
        r"""Return the missing files of a :obj:`kind`, :obj:`"profile"` or
        :obj:`"intent"`."""
        folder = Path(self.raw_dir)
        return [file for file in self.text_files[kind] if not (folder / file).is_file()]

    def _check_files(self, texts: Sequence[str]) -> None:
        folder = Path(self.raw_dir)
        missing = [
            file for file in self.matrix_files.values() if not (folder / file).is_file()
        ]
        if missing:
            raise FileNotFoundError(
                f"{folder} lacks {', '.join(missing)}: put the authors' matrices of "
                f'{self.name!r} there'
            )
        for kind in texts:
            if missing := self.missing_text_files(kind):
                raise FileNotFoundError(
                    f'{folder} lacks {", ".join(missing)}, the {kind} embeddings: '
                    "put the authors' files there, or make them: encode the texts of "
                    'users and items in one call of pyg_irllrec.text.TfidfEncoder() or '
                    'another encoder, split the rows into users and items, in the '
                    'order of the matrices, and pickle one float array per file'
                )

    def _read(self) -> HeteroData:
        matrices = {
            split: _read_matrix(Path(self.raw_dir) / file)
            for split, file in self.matrix_files.items()
        }
        num_users, num_items = shape = matrices['train'].shape
        for split, matrix in matrices.items():
            if matrix.shape != shape:
                raise ValueError(
                    f'{self.matrix_files[split]} must have the shape of '
                    f'{self.matrix_files["train"]}, {shape}, got {matrix.shape}'
                )
        if matrices['train'].nnz == 0:
            raise ValueError(
                f'{self.matrix_files["train"]} must hold interactions, got none'
            )

        _check_overlaps(self.matrix_files, matrices)
        data = HeteroData()
        data['user'].num_nodes = num_users
        data['item'].num_nodes = num_items
        rates = data[RATES]
        rates.edge_index = _pairs(matrices['train'])
        rates.val_edge_label_index = _pairs(matrices['val'])
        rates.test_edge_label_index = _pairs(matrices['test'])
        for kind, files in self.text_files.items():
            if not self.missing_text_files(kind):
                user, item = (_read_text(Path(self.raw_dir) / file) for file in files)
                _check_texts(files, (user, item), (num_users, num_items))
                data['user'][kind], data['item'][kind] = user, item
        return data

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r})'


def _read_matrix(path: Path) -> scipy.sparse.coo_matrix:
    matrix = load_pickled_array(path)
    if not scipy.sparse.issparse(matrix):
        raise ValueError(f'{path} must hold a scipy.sparse matrix, got an array')
    matrix = matrix.tocoo()
    # Any positive weight is an interaction. A sum with a negative one might not be.
    wrong = ~(np.isfinite(matrix.data) & (matrix.data >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(
            f'{path} must hold 1 for each interaction and 0 elsewhere, got '
            f'{matrix.data[first]} at row {matrix.row[first]}, column '
            f'{matrix.col[first]} ({wrong.sum()} negative, infinite or NaN entries)'
        )
    keep = matrix.data != 0
    row, col, shape = matrix.row[keep], matrix.col[keep], matrix.shape
    key = np.unique(row.astype(np.int64) * shape[1] + col)
    return scipy.sparse.coo_matrix(
        (np.ones(key.size, dtype=bool), (key // shape[1], key % shape[1])), shape=shape
    )


def _check_overlaps(
    files: dict[str, str], matrices: dict[str, scipy.sparse.coo_matrix]
) -> None:
    r"""Warn of interactions in two matrices, and raise a :class:`ValueError` if all of
    one are in another."""
    keys = {
        split: matrix.row.astype(np.int64) * matrix.shape[1] + matrix.col
        for split, matrix in matrices.items()
    }
    for held, other in (('val', 'train'), ('test', 'train'), ('val', 'test')):
        small, large = sorted((held, other), key=lambda split: keys[split].size)
        common = np.isin(keys[small], keys[large], assume_unique=True).sum()
        if common == 0:
            continue
        if common == keys[small].size:
            raise ValueError(
                f'{files[small]} and {files[large]} must hold different interactions, '
                f'but all {common} of {files[small]} are in both'
            )
        warn_caller(
            f'{common} of {keys[held].size} interactions in {files[held]} are also in '
            f'{files[other]}'
        )


def _pairs(matrix: scipy.sparse.coo_matrix) -> Tensor:
    return torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))


def _read_text(path: Path) -> Tensor:
    value = load_pickled_array(path)
    if scipy.sparse.issparse(value) or value.dtype.kind != 'f':
        raise ValueError(f'{path} must hold an array of floating-point numbers')
    text = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
    check_matrix(str(path), text)
    check_finite(str(path), text)
    return text


def _check_texts(
    files: tuple[str, str], texts: tuple[Tensor, Tensor], sizes: tuple[int, int]
) -> None:
    for file, text, size in zip(files, texts, sizes):
        if text.size(0) != size:
            raise ValueError(f'{file} must have {size} rows, got {text.size(0)}')
    if texts[0].size(1) != texts[1].size(1):
        raise ValueError(
            f'{files[1]} must be as wide as {files[0]}, {texts[0].size(1)}, got '
            f'{texts[1].size(1)}'
        )
