from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.utils.checks import check_positive


class SentenceEncoder:
    r"""Texts to unit vectors with a `sentence-transformers
    <https://www.sbert.net>`_ model (extra :obj:`text`).

    Args:
        model (str): The name of a model on the hub, or a folder that holds one.
        batch_size (int): The number of texts encoded at once.
            (default: :obj:`64`)
        device (str, optional): Where the model runs. (default: :obj:`None`, the
            library's choice)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ImportError: If sentence-transformers is not installed.
    """

    def __init__(
        self,
        model: str,
        batch_size: int = 64,
        device: Optional[str] = None,
        progress: bool = True,
    ) -> None:
        check_positive('batch_size', batch_size)
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise ImportError(
                "'SentenceEncoder' needs sentence-transformers: "
                "pip install 'pyg_irllrec[text]'"
            ) from None
        self.model = SentenceTransformer(model, device=device)
        self.name = str(model)
        self.batch_size = batch_size
        self.progress = progress

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Vectors of shape :math:`(N, D_t)`."""
        vectors = self.model.encode(
            list(texts),
            batch_size=self.batch_size,
            show_progress_bar=self.progress,
            normalize_embeddings=True,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        r"""What the vectors were made with, for a record beside them. A model in a
        folder is known by its name and its content, wherever it lies."""
        from sentence_transformers import __version__

        # Newer versions have renamed it, and warn of the old name.
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
        r"""Of what lies in the folder of the model, if it has one."""
        folder = Path(self.name)
        if not folder.is_dir():
            return None
        digest = hashlib.sha256()
        for path in sorted(folder.rglob('*')):
            name = path.relative_to(folder)
            if not path.is_file() or any(part.startswith('.') for part in name.parts):
                continue  # Such as .git: no part of the model.
            digest.update(name.as_posix().encode())
            with open(path, 'rb') as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.name!r})'
