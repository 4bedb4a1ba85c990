from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._base_url import check_base_url
from pyg_irllrec.text._endpoint import Endpoint, EndpointError
from pyg_irllrec.text.encoders._encode_rows import (
    encode_rows,
    find_surrogates,
    join_rows,
)
from pyg_irllrec.text.encoders._encoder_output import checked_texts
from pyg_irllrec.text.encoders.encoding_error import EncodingError
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import check_count, check_positive
from pyg_irllrec.utils.optional import import_optional

_MAX_VECTOR_BYTES = 300_000  # As JSON: 8192 numbers, with a margin.
_MAX_BACKOFF_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 600.0


class OpenAIEncoder:
    r"""An encoder behind an endpoint with the embeddings API of OpenAI: OpenAI itself,
    or your own server (vLLM, Ollama, ...). It uses the :obj:`openai` client (extra
    :obj:`llm`). Wrap it in a :class:`~pyg_irllrec.text.CachedEncoder` to pay for each
    text once.

    The key is sent to the endpoint and never shown, neither in errors nor by
    :obj:`repr` or :meth:`describe`. An encoder with an :obj:`api_key` cannot be
    pickled.

    Args:
        model (str): The name of the model, such as :obj:`"text-embedding-3-small"`.
        base_url (str): The URL of the endpoint, without :obj:`/embeddings`.
            (default: :obj:`"https://api.openai.com/v1"`)
        api_key (str, optional): The key. An endpoint without keys accepts any value.
            (default: :obj:`None`, the environment variable :obj:`OPENAI_API_KEY`, read
            at every call)
        batch_size (int): The number of texts per request. (default: :obj:`256`)
        dimensions (int, optional): The width of the vectors, for models that offer
            several widths. (default: :obj:`None`, the width of the model)
        max_retries (int): The largest number of retries per request, after a rate
            limit, a timeout or a server error. A retry waits as long as the server
            asks. (default: :obj:`5`)
        timeout (float): The largest number of seconds per request.
            (default: :obj:`60.0`)
        progress (bool): Whether to show a progress bar if there are several requests.
            (default: :obj:`True`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range, there is no key, or the endpoint
            does not return one vector per text, all of one width.
        EncodingError: If the endpoint refuses some texts, for example because they are
            too long, or returns NaN or infinity for them. A refused batch is bisected
            to find these texts. The error contains the vectors of the other texts.
        RuntimeError: If the endpoint cannot be reached or refuses all texts.

    Example:
        >>> from pyg_irllrec.text import CachedEncoder, OpenAIEncoder
        >>> encoder = OpenAIEncoder('text-embedding-3-small', dimensions=256)
        >>> encoder.describe()['dimension']
        256
        >>> cached = CachedEncoder(encoder, 'vectors.sqlite')
        >>> vectors = cached(['a calm film', 'a loud film'])  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str,
        base_url: str = 'https://api.openai.com/v1',
        *,
        api_key: Optional[str] = None,
        batch_size: int = 256,
        dimensions: Optional[int] = None,
        max_retries: int = 5,
        timeout: float = 60.0,
        progress: bool = True,
    ) -> None:
        check_name('model', model)
        check_count('batch_size', batch_size)
        if dimensions is not None:
            check_count('dimensions', dimensions)
        check_count('max_retries', max_retries, least=0)
        check_flag('progress', progress)
        check_positive('timeout', timeout)
        base_url = check_base_url(base_url)
        key = ApiKey(api_key)
        import_optional('openai', type(self).__name__, 'llm')
        self.model = model
        self.base_url = base_url
        self.batch_size = batch_size
        self.dimensions = dimensions
        self.max_retries = max_retries
        self.timeout = timeout
        self.progress = progress
        self._key = key

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        r"""Return vectors of shape :math:`(N, D_t)`. An empty text is sent as a space,
        because the API rejects empty texts."""
        texts = [text or ' ' for text in checked_texts('texts', texts)]
        if not texts:
            return np.zeros((0, self.dimensions or 0), np.float32)
        found: dict[int, npt.NDArray[np.float32]] = {}
        reasons = find_surrogates(texts)
        rows = [row for row in range(len(texts)) if row not in reasons]
        endpoint = Endpoint(
            self.base_url, self._key, self.timeout, self.batch_size * _MAX_VECTOR_BYTES
        )
        with (
            closing(endpoint),
            tqdm(
                total=len(rows),
                desc=self.model,
                disable=not self.progress or len(rows) <= self.batch_size,
            ) as bar,
        ):
            for start in range(0, len(rows), self.batch_size):
                batch = rows[start : start + self.batch_size]
                vectors, refused = self._encode([texts[r] for r in batch], endpoint)
                reasons |= {batch[row]: reason for row, reason in refused.items()}
                if vectors is not None:
                    good = (row for row in range(len(batch)) if row not in refused)
                    found |= {batch[row]: vectors[row] for row in good}
                bar.update(len(batch))
        return join_rows(self.base_url, texts, found, reasons)

    def describe(self) -> dict[str, Any]:
        r"""Return the model and its options, to be saved with its vectors."""
        from openai import __version__

        width = {} if self.dimensions is None else {'dimension': self.dimensions}
        return {
            'encoder': type(self).__name__,
            'model': self.model,
            'base_url': self.base_url,
            **width,
            'library': f'openai {__version__}',
        }

    def _encode(
        self, texts: list[str], endpoint: Endpoint
    ) -> tuple[Optional[npt.NDArray[np.float32]], dict[int, str]]:
        r"""Return the vectors of a batch, and by row the reason why a text has none."""

        def request(part: list[str]) -> list[Any]:
            return _embeddings(self._request(endpoint, part))

        try:
            return encode_rows(self.base_url, request, texts, (_Refused,)), {}
        except EncodingError as error:
            return error.vectors, error.reasons

    def _request(self, endpoint: Endpoint, texts: list[str]) -> dict[str, Any]:
        r"""Request the vectors of a batch, with retries."""
        width = {} if self.dimensions is None else {'dimensions': self.dimensions}
        attempt = 0
        while True:
            try:
                # Numbers, because not every endpoint supports base64. The raw response,
                # because parsing it with the client takes five times as long.
                return endpoint.call(
                    lambda client: client.embeddings.with_raw_response.create(
                        input=texts,
                        model=self.model,
                        encoding_format='float',
                        **width,
                    )
                )
            except EndpointError as error:
                failure = error
            if failure.kind != 'passing' or attempt == self.max_retries:
                break
            delay = min(_MAX_BACKOFF_SECONDS, 0.5 * 2 ** min(attempt, 10))
            after = failure.retry_after
            time.sleep(delay if after is None else min(after, _MAX_RETRY_AFTER_SECONDS))
            attempt += 1
        reason = f'{self.base_url} did not encode texts with {self.model!r}: {failure}'
        # Some servers answer with status 500 if a text is too long.
        kind = _Refused if failure.kind == 'refused' or failure.status == 500 else None
        raise (kind or RuntimeError)(reason)

    def __repr__(self) -> str:
        width = '' if self.dimensions is None else f', dimensions={self.dimensions}'
        return (
            f'{type(self).__name__}({self.model!r}, base_url={self.base_url!r}{width})'
        )


class _Refused(RuntimeError):
    r"""The endpoint refused a batch, possibly because of one of its texts."""


def _embeddings(body: dict[str, Any]) -> list[Any]:
    r"""Return the vectors of a response in the order of the texts."""
    data = body.get('data')
    if not isinstance(data, list) or not all(
        isinstance(entry, dict) and 'embedding' in entry for entry in data
    ):
        raise ValueError("the endpoint must return embeddings under 'data', got none")
    index = [entry.get('index') for entry in data]
    if any(each is not None for each in index):  # Some endpoints omit it.
        numbers = all(type(each) is int for each in index)
        if not numbers or set(index) != set(range(len(data))):
            raise ValueError(
                'the endpoint must number its embeddings from 0, one per text, got '
                f"'index' {index[:10]}"
            )
        data = sorted(data, key=lambda entry: entry['index'])
    return [entry['embedding'] for entry in data]
