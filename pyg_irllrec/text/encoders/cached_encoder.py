from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from pyg_irllrec.text._sqlite_file import READ_SIZE
from pyg_irllrec.text.encoders._encoder_output import (
    TextEncoder,
    as_json,
    as_vectors,
    checked_texts,
    describe_encoder,
)
from pyg_irllrec.text.encoders._vector_table import VectorTable
from pyg_irllrec.utils.checks import check_positive


class CachedEncoder:
    r"""Any encoder with a memory: a text is encoded once, and its vector is kept in
    a SQLite file. A run that is stopped, even by SIGKILL, loses the batch it was in
    and goes on from there the next time; a damaged vector is encoded again, with a
    warning. Several processes may share a file.

    A vector is found by the content of its text together with what the encoder says
    of itself (:meth:`describe`), so several encoders may share a file too. Of the
    description, :obj:`"library"` alone does not count: a new version of a client is
    no reason to pay for the same vectors again.

    Args:
        encoder (callable): Turns a list of texts into an array with a row a text. It
            must give a text the same vector in every call.
        path (str or Path): The SQLite file; it is made where it is missing.
        batch_size (int): How many texts the encoder is given at once: what is lost
            at most. (default: :obj:`256`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)
        description (dict, optional): What stands for the encoder; an encoder without
            a method :obj:`describe` needs it. (default: :obj:`None`, what
            :obj:`encoder.describe()` returns)

    Raises:
        ValueError: If the encoder is fitted on the texts it is given
            (:class:`~pyg_irllrec.text.TfidfEncoder`), says nothing of itself, or
            returns what is no finite row a text; or if :obj:`path` is a file, but no
            SQLite database.
        OSError: If the file cannot be read or written.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        path: Union[str, os.PathLike[str]],
        batch_size: int = 256,
        progress: bool = True,
        description: Optional[dict[str, Any]] = None,
    ) -> None:
        check_positive('batch_size', batch_size)
        if getattr(encoder, 'corpus_dependent', False):
            raise ValueError(
                "'encoder' must give a text the same vector in every call, but "
                f'{encoder!r} is fitted on the texts of each call: use it as it is'
            )
        self.encoder = encoder
        self.path = Path(path)
        self.batch_size = batch_size
        self.progress = progress
        self.description = description
        self._salt()  # A wrong description or file is better known now.
        with VectorTable(self.path):
            pass

    def describe(self) -> dict[str, Any]:
        r"""What the encoder says of itself: the memory changes no vector."""
        if self.description is not None:
            return dict(self.description)
        return describe_encoder(self.encoder)

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Vectors of shape :math:`(N, D_t)`."""
        texts = list(checked_texts('texts', texts))
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = list(row_of)
        salt = self._salt()
        keys = [_sha256(salt, text) for text in distinct]
        with VectorTable(self.path) as table:
            vectors, missing = self._recall(table, keys)
            vectors = self._encode(table, distinct, keys, vectors, missing)
        if len(distinct) == len(texts):
            return vectors
        return vectors[[row_of[text] for text in texts]]

    def _salt(self) -> bytes:
        r"""What tells this encoder's keys from another's."""
        description = as_json('description', self.describe())
        description.pop('library', None)
        return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).digest()

    def _recall(
        self, table: VectorTable, keys: list[bytes]
    ) -> tuple[npt.NDArray[np.float32], list[int]]:
        r"""The vectors that are in the file, and the rows of those that are not. The
        matrix has no columns while nobody knows how many there will be."""
        out = np.empty((len(keys), 0), np.float32)
        missing, damaged = [], []
        for start in range(0, len(keys), READ_SIZE):
            some = keys[start : start + READ_SIZE]
            found = table.read(some)
            for row, key in enumerate(some, start):
                vector = found.get(key)
                if vector is not None and out.shape[1] == 0:
                    out = np.empty((len(keys), vector.size), np.float32)
                if vector is not None and vector.size == out.shape[1]:
                    out[row] = vector
                else:
                    missing.append(row)
                    if key in found:
                        damaged.append(row)
        if damaged:
            warnings.warn(
                f'{len(damaged)} of {len(keys)} vectors in {self.path} are damaged '
                'and are encoded again',
                stacklevel=3,
            )
        return out, missing

    def _encode(
        self,
        table: VectorTable,
        texts: list[str],
        keys: list[bytes],
        out: npt.NDArray[np.float32],
        missing: list[int],
    ) -> npt.NDArray[np.float32]:
        r"""Encodes and keeps what is missing, batch by batch."""
        with tqdm(
            total=len(texts),
            initial=len(texts) - len(missing),
            desc='Encoding texts',
            disable=not self.progress or not missing,
        ) as bar:
            for start in range(0, len(missing), self.batch_size):
                rows = missing[start : start + self.batch_size]
                batch = self.encoder([texts[row] for row in rows])
                vectors = as_vectors("'encoder'", batch, len(rows))
                if out.shape[1] == 0:
                    out = np.empty((len(texts), vectors.shape[1]), np.float32)
                if vectors.shape[1] != out.shape[1]:
                    raise ValueError(
                        f"'encoder' must return vectors of width {out.shape[1]}, as "
                        f'it did before ({self.path}), got width {vectors.shape[1]}'
                    )
                table.write([keys[row] for row in rows], vectors)
                out[rows] = vectors
                bar.update(len(rows))
        return out

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.encoder!r}, {str(self.path)!r})'


def _sha256(salt: bytes, text: str) -> bytes:
    # Texts from the wild hold halves of characters, which UTF-8 proper refuses.
    return hashlib.sha256(salt + text.encode('utf-8', 'surrogatepass')).digest()
