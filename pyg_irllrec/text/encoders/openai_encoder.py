from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from pyg_irllrec.text._endpoint import check_key, check_url
from pyg_irllrec.text.encoders._encoder_output import as_vectors, checked_texts
from pyg_irllrec.utils.checks import check_not_negative, check_positive


class OpenAIEncoder:
    r"""Texts to vectors by an endpoint that speaks OpenAI's embeddings API, theirs
    or your own (vLLM, Ollama, ...), through the :obj:`openai` client (extra
    :obj:`llm`). Wrap it in a :class:`~pyg_irllrec.text.CachedEncoder`, and no text is
    paid for twice.

    The key is read when texts are encoded. It is sent to the endpoint and shown
    nowhere: not in errors, not by :obj:`repr`, not in :meth:`describe`. The encoder
    cannot be pickled when it was given one.

    Args:
        model (str): The name of the model, such as :obj:`"text-embedding-3-small"`.
        base_url (str): Where the endpoint is, without :obj:`/embeddings`.
            (default: :obj:`"https://api.openai.com/v1"`)
        api_key (str, optional): The key; an endpoint that needs none takes any.
            (default: :obj:`None`, the environment variable :obj:`OPENAI_API_KEY`)
        batch_size (int): The number of texts a request. (default: :obj:`256`)
        dimensions (int, optional): The width that the model is asked for, where it
            offers several. (default: :obj:`None`, the model's own)
        max_retries (int): How often a request is tried again that was refused for
            its rate, timed out or met a broken server. The client waits as long as
            the server says. (default: :obj:`5`)
        timeout (float): How many seconds a request may take. (default: :obj:`60.0`)
        progress (bool): Whether to show a progress bar over several requests.
            (default: :obj:`True`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range or there is no key, and if the
            endpoint returns anything but a finite vector a text, all of one width.
        RuntimeError: If the endpoint cannot be reached or refuses.
    """

    def __init__(
        self,
        model: str,
        base_url: str = 'https://api.openai.com/v1',
        api_key: Optional[str] = None,
        batch_size: int = 256,
        dimensions: Optional[int] = None,
        max_retries: int = 5,
        timeout: float = 60.0,
        progress: bool = True,
    ) -> None:
        check_positive('batch_size', batch_size)
        if dimensions is not None:
            check_positive('dimensions', dimensions)
        check_not_negative('max_retries', max_retries)
        check_positive('timeout', timeout)
        base_url = check_url(base_url)
        if api_key is not None:
            api_key = check_key(api_key)
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ImportError(
                "'OpenAIEncoder' needs openai: pip install 'pyg_irllrec[llm]'"
            ) from None
        self.model = model
        self.base_url = base_url
        self.batch_size = batch_size
        self.dimensions = dimensions
        self.max_retries = max_retries
        self.timeout = timeout
        self.progress = progress
        # A function, so that nothing that shows or stores attributes meets the key.
        self._given_key: Optional[Callable[[], str]] = None
        if api_key is not None:
            self._given_key = lambda: api_key

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Vectors of shape :math:`(N, D_t)`. The API refuses empty texts: a blank
        stands in for them."""
        from openai import OpenAI

        texts = [text or ' ' for text in checked_texts('texts', texts)]
        if not texts:
            return np.zeros((0, self.dimensions or 0), np.float32)
        blocks: list[npt.NDArray[np.float32]] = []
        with (
            OpenAI(
                api_key=self._key(),
                base_url=self.base_url,
                max_retries=self.max_retries,
                timeout=self.timeout,
            ) as client,
            tqdm(
                total=len(texts),
                desc=self.model,
                disable=not self.progress or len(texts) <= self.batch_size,
            ) as bar,
        ):
            for start in range(0, len(texts), self.batch_size):
                batch = texts[start : start + self.batch_size]
                blocks.append(self._request(client, batch))
                if blocks[-1].shape[1] != blocks[0].shape[1]:
                    raise ValueError(
                        f'{self.base_url} must return vectors of one width, got '
                        f'{blocks[0].shape[1]} and {blocks[-1].shape[1]}'
                    )
                bar.update(len(batch))
        return np.concatenate(blocks)

    def describe(self) -> dict[str, Any]:
        r"""What the vectors were made with, for a record beside them."""
        from openai import __version__

        width = {} if self.dimensions is None else {'dimension': self.dimensions}
        return {
            'encoder': type(self).__name__,
            'model': self.model,
            'base_url': self.base_url,
            **width,
            'library': f'openai {__version__}',
        }

    def _key(self) -> str:
        if self._given_key is not None:
            return self._given_key()
        if 'OPENAI_API_KEY' not in os.environ:
            raise ValueError(
                "'api_key' must be given, or the environment variable OPENAI_API_KEY "
                'be set (an endpoint that needs no key takes any)'
            )
        return check_key(os.environ['OPENAI_API_KEY'])

    def _request(self, client: Any, texts: list[str]) -> npt.NDArray[np.float32]:
        r"""The vectors of a batch."""
        from openai import OpenAIError

        width = {} if self.dimensions is None else {'dimensions': self.dimensions}
        try:
            # Numbers rather than base64, which not every endpoint knows; and the
            # answer as it is, as the client takes five times as long to model it.
            answer = client.embeddings.with_raw_response.create(
                input=texts, model=self.model, encoding_format='float', **width
            )
            body = answer.http_response.json()
        except (OpenAIError, ValueError) as error:
            reason = f'{error} ({error.__cause__})' if error.__cause__ else str(error)
        else:
            return as_vectors(self.base_url, _embeddings(body), len(texts))
        # Said here, for the client's error holds the request, and the request the
        # key, which some endpoints even repeat in their answer.
        reason = reason.replace(client.api_key, '***')[:500]
        raise RuntimeError(
            f'{self.base_url} did not encode texts with {self.model!r}: {reason}'
        )

    def __repr__(self) -> str:
        width = '' if self.dimensions is None else f', dimensions={self.dimensions}'
        return (
            f'{type(self).__name__}({self.model!r}, base_url={self.base_url!r}{width})'
        )


def _embeddings(body: Any) -> list[Any]:
    r"""The vectors in the order of the texts, whatever order they came in."""
    data = body.get('data') if isinstance(body, dict) else None
    if not isinstance(data, list) or any('embedding' not in entry for entry in data):
        raise ValueError("the endpoint must return embeddings under 'data', got none")
    index = [entry.get('index') for entry in data]
    if any(place is not None for place in index):  # Some endpoints leave it out.
        if set(index) != set(range(len(data))):
            raise ValueError(
                'the endpoint must number its embeddings from 0, one a text, got '
                f"'index' {index[:10]}"
            )
        data = sorted(data, key=lambda entry: entry['index'])
    return [entry['embedding'] for entry in data]
