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
    r"""The state that a :class:`TfidfEncoder` learns from texts."""

    words: list[str]
    """The vocabulary, one word per column."""
    idf: npt.NDArray[np.float64]
    """The inverse document frequency of each word, of shape :math:`(V)`."""
    components: Optional[npt.NDArray[np.float32]]
    """The directions of the truncated SVD, of shape :math:`(D_t, V)`; :obj:`None` if
    the vocabulary needs no reduction."""


class TfidfEncoder:
    r"""Encode texts by latent semantic analysis: TF-IDF, then truncated SVD, then unit
    rows. It needs no language model and no network.

    A fitted encoder maps all texts to one space, including texts that it was not
    fitted on. An encoder that is not fitted learns a new space in each call. In this
    case, encode the texts of users and items in one call.

    Args:
        dim (int): The width of the vectors. It is smaller if there are fewer words or
            texts. (default: :obj:`64`)
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
        r"""The state that :meth:`fit` has learned, or :obj:`None`. It can be set to the
        state of another encoder."""
        return self._state

    @state.setter
    def state(self, state: Optional[TfidfState]) -> None:
        self._state = state
        self._vectorizer = None if state is None else _vectorizer(state)

    @property
    def corpus_dependent(self) -> bool:
        r"""Whether the vector of a text depends on the other texts of a call, so that
        it cannot be cached. This is true until :meth:`fit` is called."""
        return self.state is None

    def fit(self, texts: Iterable[str]) -> Self:
        r"""Learn the vocabulary and the directions of texts, and return the encoder. A
        second call replaces what the first has learned.

        Args:
            texts (iterable of str): The texts of users and items together.

        Raises:
            ValueError: If no text contains a word.
        """
        self.state = self._learn(list(checked_texts('texts', texts)))
        return self

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Return vectors of shape :math:`(N, D_t)`. A text without any word of the
        vocabulary gets a zero vector.

        Raises:
            ValueError: If the encoder is not fitted and no text contains a word.
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
        r"""Return the encoder and its options, to be saved with its vectors. A fitted
        encoder adds a hash of its state."""
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
