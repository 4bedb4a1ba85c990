from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

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
