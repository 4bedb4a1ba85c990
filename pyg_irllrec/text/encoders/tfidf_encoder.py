from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from pyg_irllrec.text.encoders._encoder_output import checked_texts
from pyg_irllrec.utils.checks import check_count, check_seed

if TYPE_CHECKING:
    from typing_extensions import Self


_OPTIONS: dict[str, Any] = {'sublinear_tf': True, 'stop_words': 'english'}


class TfidfState(NamedTuple):
    r"""What a :class:`TfidfEncoder` learns from texts."""

    words: list[str]
    """The vocabulary, one word per column."""
    idf: npt.NDArray[np.float64]
    """The inverse document frequency of each word, of shape :math:`(V)`."""
    components: Optional[npt.NDArray[np.float32]]
    """The directions that words are reduced to, of shape :math:`(D_t, V)`;
    :obj:`None` where there is nothing to reduce."""


class TfidfEncoder:
    r"""Encode texts by latent semantic analysis, without a model and a network:
    TF-IDF, then truncated SVD, then unit rows.

    Once fitted, it encodes all texts in one space, those that it was not fitted on too.
    Otherwise each call is a space of its own, fitted on its texts and then forgotten:
    encode the texts of users and items in one call.

    .. code-block:: python

        encoder = TfidfEncoder().fit(texts)
        vectors, new = encoder(texts), encoder(['a story of the sea'])

    Args:
        dim (int): The width of the vectors; smaller where the vocabulary is.
            (default: :obj:`64`)
        seed (int): The seed of the randomised SVD. (default: :obj:`0`)

    Example:
        >>> from pyg_irllrec.text import TfidfEncoder
        >>> texts = ['a calm film', 'a loud film', 'a calm sea', 'a loud city']
        >>> encoder = TfidfEncoder(dim=2).fit(texts)
        >>> encoder(['a story of the sea']).shape
        (1, 2)
    """

    def __init__(self, dim: int = 64, seed: int = 0) -> None:
        check_count('dim', dim)
        check_seed(seed, bits=32)
        self.dim = dim
        self.seed = seed
        self._state: Optional[TfidfState] = None
        self._vectorizer: Optional[TfidfVectorizer] = None

    @property
    def state(self) -> Optional[TfidfState]:
        r"""What :meth:`fit` has learned; another's can be put in its place."""
        return self._state

    @state.setter
    def state(self, state: Optional[TfidfState]) -> None:
        self._state = state
        self._vectorizer = None if state is None else _vectorizer(state)

    @property
    def corpus_dependent(self) -> bool:
        r"""Whether the vector of a text depends on the other texts of a call, so that
        it cannot be cached: until :meth:`fit`."""
        return self.state is None

    def fit(self, texts: Iterable[str]) -> Self:
        r"""Learn the vocabulary and the directions of texts, in place of those of
        before, and returns the encoder.

        Args:
            texts (iterable of str): The texts of users and items together.

        Raises:
            ValueError: If no text holds a word.
        """
        self.state = self._learn(list(checked_texts('texts', texts)))
        return self

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Return vectors of shape :math:`(N, D_t)`. A text without a word of the
        vocabulary gets zeros.

        Raises:
            ValueError: If it is not fitted, and no text holds a word.
        """
        texts = list(checked_texts('texts', texts))
        state = self._learn(texts) if self.state is None else self.state
        width = state.idf.size if state.components is None else len(state.components)
        if not texts:
            return np.zeros((0, width), np.float32)
        counts = (self._vectorizer or _vectorizer(state)).transform(texts)
        if state.components is None:
            vectors = counts.toarray()
        else:
            vectors = np.asarray(counts @ state.components.T)
        return np.asarray(normalize(vectors), dtype=np.float32)

    def _learn(self, texts: list[str]) -> TfidfState:
        vectorizer = TfidfVectorizer(**_OPTIONS)
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"'texts' must hold words to encode: {error}") from None
        words = vectorizer.get_feature_names_out().tolist()
        dim = min(self.dim, *counts.shape)
        components = None
        if dim < counts.shape[1]:
            svd = TruncatedSVD(dim, random_state=self.seed).fit(counts)
            components = np.ascontiguousarray(svd.components_, np.float32)
        return TfidfState(words, vectorizer.idf_, components)

    def describe(self) -> dict[str, Any]:
        r"""The encoder and its options, for a record beside its vectors; once fitted,
        with a hash of what it has learned."""
        described = {
            'encoder': type(self).__name__,
            'dim': self.dim,
            'seed': self.seed,
            'library': f'scikit-learn {sklearn.__version__}',
        }
        if self.state is not None:
            words, idf, components = self.state
            digest = hashlib.sha256('\n'.join(words).encode() + idf.tobytes())
            digest.update(b'' if components is None else components.tobytes())
            described['sha256'] = digest.hexdigest()
        return described

    def __repr__(self) -> str:
        return f'{type(self).__name__}(dim={self.dim}, seed={self.seed})'


def _vectorizer(state: TfidfState) -> TfidfVectorizer:
    made = TfidfVectorizer(**_OPTIONS, vocabulary=state.words)
    made.idf_ = state.idf
    return made
