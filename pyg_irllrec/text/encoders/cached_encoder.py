from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from pyg_irllrec.text._sqlite_file import (
    READ_SIZE,
    DamagedDatabase,
    rescue_rows,
)
from pyg_irllrec.text.encoders._encode_rows import encode_rows
from pyg_irllrec.text.encoders._encoder_output import (
    as_json,
    checked_texts,
    describe_encoder,
)
from pyg_irllrec.text.encoders._vector_table import TABLE, VectorTable, is_sound
from pyg_irllrec.text.encoders.encoding_error import EncodingError
from pyg_irllrec.typing import PathLike, TextEncoder
from pyg_irllrec.utils.argument_checks import as_path, check_encoder, check_flag
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.warn_caller import warn_caller


class CachedEncoder:
    r"""An encoder with a cache. It encodes each text once and stores the vector in a
    SQLite file. A run that is stopped, even by SIGKILL, loses at most one batch, and
    the next run continues from there. A damaged vector is encoded again, with a
    warning. A damaged file is replaced by a new file with all readable vectors. If the
    encoder refuses some texts, the error names them, and all other vectors are stored.
    Several processes may share a file.

    The key of a vector is a hash of the text and of the encoder's description
    (:meth:`describe`), so several encoders may share a file. The field :obj:`"library"`
    is not part of the key, so that a new version of a client does not encode the same
    texts again.

    Args:
        encoder (callable): Turns a list of texts into an array with one row per text.
            The vector of a text must be the same in every call.
        path (str or Path): The SQLite file. It is created if it does not exist.
        batch_size (int): The number of texts per call of :obj:`encoder`.
            (default: :obj:`256`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)
        description (dict, optional): The description of an encoder without a method
            :obj:`describe`. (default: :obj:`None`, :obj:`encoder.describe()`)

    Raises:
        ValueError: If the encoder is fitted on the texts of each call (an unfitted
            :class:`~pyg_irllrec.text.TfidfEncoder`), has no description, or does not
            return one row per text; or if :obj:`path` is not a SQLite database.
        EncodingError: If the encoder refuses some texts with a :class:`ValueError` or a
            :class:`TypeError`, or returns NaN or infinity for them.
        OSError: If the file cannot be read or written.

    Example:
        >>> from pyg_irllrec.text import CachedEncoder, TfidfEncoder
        >>> texts = ['a calm film', 'a loud film', 'a calm sea']
        >>> encoder = CachedEncoder(
        ...     TfidfEncoder(dim=2).fit(texts), 'vectors.sqlite', progress=False
        ... )
        >>> vectors = encoder(texts)  # encodes the texts
        >>> encoder(texts).shape  # reads the file
        (3, 2)
    """

    def __init__(
        self,
        encoder: TextEncoder,
        path: PathLike,
        *,
        batch_size: int = 256,
        progress: bool = True,
        description: Optional[dict[str, Any]] = None,
    ) -> None:
        check_encoder(encoder)
        check_count('batch_size', batch_size)
        check_flag('progress', progress)
        if description is not None:
            as_json('description', description)
        if getattr(encoder, 'corpus_dependent', False):
            raise ValueError(
                "'encoder' must give a text the same vector in every call, got "
                f'{encoder!r}, which is fitted on the texts of each call: call fit() '
                'first, or use it without a cache'
            )
        self.encoder = encoder
        self.path = as_path('path', path)
        self.batch_size = batch_size
        self.progress = progress
        self.description = description
        self._salt()  # Raises if the description is invalid.
        with self._open():
            pass

    def _open(self) -> VectorTable:
        r"""Open the file, after a rescue if it is damaged."""
        try:
            return VectorTable(self.path)
        except DamagedDatabase:
            self._rescue()
            return VectorTable(self.path)

    def _rescue(self) -> None:
        warn_caller(rescue_rows(self.path, TABLE, is_sound))

    def describe(self) -> dict[str, Any]:
        r"""Return the description of the encoder. The cache does not change vectors."""
        if self.description is not None:
            return dict(self.description)
        return describe_encoder(self.encoder)

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Return vectors of shape :math:`(N, D_t)`."""
        texts = list(checked_texts('texts', texts))
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = list(row_of)
        salt = self._salt()
        keys = [_sha256(salt, text) for text in distinct]
        try:
            vectors, reasons = self._encode(distinct, keys)
        except DamagedDatabase:
            self._rescue()
            vectors, reasons = self._encode(distinct, keys)
        if len(distinct) < len(texts) and vectors.size > 0:
            vectors = vectors[[row_of[text] for text in texts]]
        if reasons:
            first = {text: row for row, text in reversed(list(enumerate(texts)))}
            named = {first[distinct[row]]: reason for row, reason in reasons.items()}
            note = f' (all other vectors are stored in {self.path})'
            raise EncodingError(texts, named, vectors if vectors.size else None, note)
        return vectors

    def _encode(
        self, texts: list[str], keys: list[bytes]
    ) -> tuple[npt.NDArray[np.float32], dict[int, str]]:
        r"""Return the vectors, and by row the reason why a text has none."""
        with self._open() as table:
            vectors, missing = self._read_vectors(table, keys)
            return self._encode_missing(table, texts, keys, vectors, missing)

    def _salt(self) -> bytes:
        r"""Hash the description of the encoder, for the keys."""
        description = as_json('description', self.describe())
        description.pop('library', None)
        return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).digest()

    def _read_vectors(
        self, table: VectorTable, keys: list[bytes]
    ) -> tuple[npt.NDArray[np.float32], list[int]]:
        r"""Return the stored vectors and the rows of missing vectors. The matrix has no
        columns if the file has none of the vectors."""
        out = np.empty((len(keys), 0), np.float32)
        missing, damaged = [], []
        for start in range(0, len(keys), READ_SIZE):
            batch = keys[start : start + READ_SIZE]
            stored = table.read(batch)
            for row, key in enumerate(batch, start):
                vector = stored.get(key)
                if vector is not None and out.shape[1] == 0:
                    out = np.empty((len(keys), vector.size), np.float32)
                if vector is not None and vector.size == out.shape[1]:
                    out[row] = vector
                else:
                    missing.append(row)
                    if key in stored:
                        damaged.append(row)
        if damaged:
            warnings.warn(
                f'{len(damaged)} of {len(keys)} vectors in {self.path} are damaged: '
                'their texts are encoded again',
                stacklevel=3,
            )
        return out, missing

    def _encode_missing(
        self,
        table: VectorTable,
        texts: list[str],
        keys: list[bytes],
        out: npt.NDArray[np.float32],
        missing: list[int],
    ) -> tuple[npt.NDArray[np.float32], dict[int, str]]:
        r"""Encode and store the missing vectors, batch by batch."""
        reasons: dict[int, str] = {}
        with tqdm(
            total=len(texts),
            initial=len(texts) - len(missing),
            desc='Encoding texts',
            disable=not self.progress or not missing,
        ) as bar:
            for start in range(0, len(missing), self.batch_size):
                rows = missing[start : start + self.batch_size]
                batch = [texts[row] for row in rows]
                vectors, refused = self._encode_batch(batch)
                reasons |= {rows[row]: reason for row, reason in refused.items()}
                bar.update(len(rows))
                if vectors is None:
                    continue
                if out.shape[1] == 0:
                    out = np.full((len(texts), vectors.shape[1]), np.nan, np.float32)
                if vectors.shape[1] != out.shape[1]:
                    raise ValueError(
                        f"'encoder' must return vectors of width {out.shape[1]}, like "
                        f'those in {self.path}, got width {vectors.shape[1]}'
                    )
                out[rows] = vectors
                good = [row for row in range(len(rows)) if row not in refused]
                table.write([keys[rows[row]] for row in good], vectors[good])
        return out, reasons

    def _encode_batch(
        self, texts: list[str]
    ) -> tuple[Optional[npt.NDArray[np.float32]], dict[int, str]]:
        try:
            errors = (ValueError, TypeError)
            return encode_rows("'encoder'", self.encoder, texts, errors), {}
        except EncodingError as error:
            return error.vectors, error.reasons

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.encoder!r}, {str(self.path)!r})'


def _sha256(salt: bytes, text: str) -> bytes:
    # Texts may contain lone surrogates, which strict UTF-8 rejects.
    return hashlib.sha256(salt + text.encode('utf-8', 'surrogatepass')).digest()
