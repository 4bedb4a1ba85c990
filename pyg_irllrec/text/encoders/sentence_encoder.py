from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.text.encoders._encode_rows import find_surrogates, join_rows
from pyg_irllrec.text.encoders._encoder_output import as_matrix, checked_texts
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.optional import import_optional


class SentenceEncoder:
    r"""Encode texts as unit vectors with a `sentence-transformers
    <https://www.sbert.net>`_ model (extra :obj:`text`).

    Args:
        model (str): The name of a model on the Hugging Face Hub, or a folder.
        batch_size (int): The number of texts per batch. (default: :obj:`64`)
        device (str, optional): The device of the model. (default: :obj:`None`, the
            library's choice)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ImportError: If sentence-transformers is not installed.

    Example:
        >>> from pyg_irllrec.text import SentenceEncoder
        >>> encoder = SentenceEncoder('all-MiniLM-L6-v2')
        >>> encoder(['a calm film', 'a loud film']).shape
        (2, 384)
    """

    def __init__(
        self,
        model: str,
        *,
        batch_size: int = 64,
        device: Optional[str] = None,
        progress: bool = True,
    ) -> None:
        check_name('model', model)
        check_count('batch_size', batch_size)
        if device is not None:
            check_name('device', device)
        check_flag('progress', progress)
        library = import_optional('sentence_transformers', type(self).__name__, 'text')
        self.model = library.SentenceTransformer(model, device=device)
        self.name = str(model)
        self.batch_size = batch_size
        self.progress = progress

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Return vectors of shape :math:`(N, D_t)`.

        Raises:
            EncodingError: If a text contains a lone surrogate, or its vector is not
                finite. The error contains the vectors of the other texts.
        """
        texts = list(checked_texts('texts', texts))
        reasons = find_surrogates(texts)
        rows = [row for row in range(len(texts)) if row not in reasons]
        vectors = self.model.encode(
            [texts[row] for row in rows],
            batch_size=self.batch_size,
            show_progress_bar=self.progress,
            normalize_embeddings=True,
            convert_to_numpy=True,
        )
        if not texts:
            return np.asarray(vectors, dtype=np.float32)
        found = dict(zip(rows, as_matrix('the model', vectors, len(rows))))
        return join_rows('the model', texts, found, reasons)

    def describe(self) -> dict[str, Any]:
        r"""Return the model and its options, to be saved with its vectors. A model in a
        folder is identified by the name and the content of the folder."""
        from sentence_transformers import __version__

        # Newer versions renamed the method and warn about the old name.
        width = getattr(self.model, 'get_embedding_dimension', None)
        width = width or self.model.get_sentence_embedding_dimension
        description = {
            'encoder': type(self).__name__,
            'model': Path(self.name).name if self._sha256 else self.name,
            'sha256': self._sha256,
            'dimension': width(),
            'max_seq_length': getattr(self.model, 'max_seq_length', None),
            'library': f'sentence-transformers {__version__}',
        }
        return {name: value for name, value in description.items() if value is not None}

    @cached_property
    def _sha256(self) -> Optional[str]:
        r"""The hash of all files in the model's folder, or :obj:`None` without a
        folder."""
        folder = Path(self.name)
        if not folder.is_dir():
            return None
        digest = hashlib.sha256()
        for path in sorted(folder.rglob('*')):
            name = path.relative_to(folder)
            if not path.is_file() or any(part.startswith('.') for part in name.parts):
                continue  # For example .git.
            digest.update(name.as_posix().encode())
            with open(path, 'rb') as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r})'
