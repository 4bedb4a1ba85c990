r"""Text encoders in saved bundles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Optional
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pyg_irllrec.text import (
    CachedEncoder,
    OpenAIEncoder,
    SentenceEncoder,
    TfidfEncoder,
)
from pyg_irllrec.text.encoders.tfidf_encoder import TfidfState
from pyg_irllrec.typing import TextEncoder
from pyg_irllrec.utils.warn_caller import warn_caller

Record = dict[str, Any]

_OPTIONS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    'SentenceEncoder': (SentenceEncoder, ('batch_size', 'progress')),
    'OpenAIEncoder': (
        OpenAIEncoder,
        ('base_url', 'batch_size', 'dimensions', 'max_retries', 'timeout', 'progress'),
    ),
}
_TRUSTED = ('api.openai.com', 'localhost', '127.0.0.1', '::1')


class SavedEncoder:
    r"""An encoder that is built on first use, so that its library is needed only to
    encode texts.

    Args:
        record (dict): The class of the encoder, its model and its options.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        cls, names = _OPTIONS[record['class']]
        self._build: Callable[[], TextEncoder] = lambda: cls(
            record['model'], **{name: record[name] for name in names}
        )

    @cached_property
    def encoder(self) -> TextEncoder:
        r"""The encoder.

        Raises:
            ValueError: If it would send texts and a key to a server that is named only
                in the bundle.
        """
        url = self.record.get('base_url', 'http://localhost')
        if urlsplit(url).hostname not in _TRUSTED:
            raise ValueError(
                f'this bundle would send texts and your API key to {url}. If you '
                'trust this server, pass '
                'load(path, encoder=OpenAIEncoder(model, base_url))'
            )
        return self._build()

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        r"""Encode texts as vectors."""
        return self.encoder(texts)

    def describe(self) -> Record:
        r"""Return the class and the model of the encoder."""
        return {'encoder': self.record['class'], 'model': self.record['model']}

    def __repr__(self) -> str:
        return f'{self.record["class"]}({self.record["model"]!r})'


def encoder_record(
    encoder: Optional[TextEncoder],
) -> tuple[Optional[Record], dict[str, Tensor]]:
    r"""Return an encoder as JSON, and the tensors of a fitted encoder. An encoder that
    only the user's code can build is left out, with a warning."""
    while isinstance(encoder, CachedEncoder):
        encoder = encoder.encoder
    if encoder is None:
        return None, {}
    if isinstance(encoder, SavedEncoder):
        return encoder.record, {}
    name = type(encoder).__name__
    if type(encoder) is TfidfEncoder and encoder.state is not None:
        words, idf, components = encoder.state
        tensors = {
            'words': torch.tensor(list('\n'.join(words).encode()), dtype=torch.uint8),
            'idf': torch.from_numpy(idf),
        }
        if components is not None:
            tensors['components'] = torch.from_numpy(components)
        return {'class': name, 'dim': encoder.dim, 'seed': encoder.seed}, tensors
    cls, options = _OPTIONS.get(name, (None, ()))
    if type(encoder) is cls:
        model = getattr(encoder, 'name' if cls is SentenceEncoder else 'model')
        named = {each: getattr(encoder, each) for each in options}
        return {'class': name, 'model': model, **named}, {}
    warn_caller(
        f'the encoder {encoder!r} is not saved, because only your code can build it. '
        'Pass it as load(path, encoder=...)'
    )
    return None, {}


def build_encoder(
    record: Optional[Record], tensors: Mapping[str, Tensor]
) -> Optional[TextEncoder]:
    r"""Build an encoder from its :func:`encoder_record`.

    Raises:
        ValueError: If its tensors do not match.
    """
    if record is None:
        return None
    if record['class'] != 'TfidfEncoder':
        return SavedEncoder(record)
    words = bytes(tensors['words'].numpy()).decode().split('\n')
    idf, components = tensors['idf'].numpy(), None
    if 'components' in tensors:
        components = tensors['components'].numpy()
    shape = idf.shape if components is None else components.shape[1:]
    if idf.shape != (len(words),) or shape != idf.shape or len(set(words)) < idf.size:
        raise ValueError('the words of the encoder do not match its vectors')
    encoder = TfidfEncoder(record['dim'], record['seed'])
    encoder.state = TfidfState(words, np.asarray(idf), components)
    return encoder
