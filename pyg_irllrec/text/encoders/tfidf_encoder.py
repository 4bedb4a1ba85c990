from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from pyg_irllrec.text.encoders._encoder_output import checked_texts
from pyg_irllrec.utils.checks import check_count, check_seed


class TfidfEncoder:
    r"""Encodes texts by latent semantic analysis, without a model and a network:
    TF-IDF, then truncated SVD, then unit rows.

    It is fitted on the texts of each call: encode the texts of users and items in one
    call, or their vectors lie in different spaces.

    Args:
        dim (int): The width of the vectors; smaller where the vocabulary is.
            (default: :obj:`64`)
        seed (int): The seed of the randomised SVD. (default: :obj:`0`)
    """

    corpus_dependent: ClassVar[bool] = True
    """The vector of a text depends on the other texts, so it cannot be cached."""

    def __init__(self, dim: int = 64, seed: int = 0) -> None:
        check_count('dim', dim)
        check_seed(seed, bits=32)
        self.dim = dim
        self.seed = seed

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Returns vectors of shape :math:`(N, D_t)`. A text without a word of the
        vocabulary gets zeros.

        Raises:
            ValueError: If no text holds a word.
        """
        texts = list(checked_texts('texts', texts))
        try:
            counts = TfidfVectorizer(
                sublinear_tf=True, stop_words='english'
            ).fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"'texts' must hold words to encode: {error}") from None
        dim = min(self.dim, *counts.shape)
        if dim == counts.shape[1]:  # Nothing to reduce.
            vectors = counts.toarray()
        else:
            vectors = TruncatedSVD(dim, random_state=self.seed).fit_transform(counts)
        return np.asarray(normalize(vectors), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        r"""The encoder and its options, for a record beside its vectors."""
        return {
            'encoder': type(self).__name__,
            'dim': self.dim,
            'seed': self.seed,
            'library': f'scikit-learn {sklearn.__version__}',
        }

    def __repr__(self) -> str:
        return f'{type(self).__name__}(dim={self.dim}, seed={self.seed})'
