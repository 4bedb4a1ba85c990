from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._base_url import check_base_url
from pyg_irllrec.text.encoders._encoder_output import as_vectors, checked_texts
from pyg_irllrec.utils.checks import check_not_negative, check_positive
from pyg_irllrec.utils.optional import import_optional


class OpenAIEncoder:
    r"""Encodes texts by an endpoint with OpenAI's embeddings API, which is OpenAI's or
    your own (vLLM, Ollama, ...). It uses the :obj:`openai` client (extra :obj:`llm`).
    Wrap it in a :class:`~pyg_irllrec.text.CachedEncoder` to pay for each text once.

    The key is sent to the endpoint and never shown: not in errors, :obj:`repr` or
    :meth:`describe`. An encoder with an :obj:`api_key` cannot be pickled.

    Args:
        model (str): The name of the model, such as :obj:`"text-embedding-3-small"`.
        base_url (str): The address of the endpoint, without :obj:`/embeddings`.
            (default: :obj:`"https://api.openai.com/v1"`)
        api_key (str, optional): The key; an endpoint without keys accepts any.
            (default: :obj:`None`, the environment variable :obj:`OPENAI_API_KEY`, read
            at every call)
        batch_size (int): The number of texts per request. (default: :obj:`256`)
        dimensions (int, optional): The width of the vectors, for models that offer
            several. (default: :obj:`None`, the model's own)
        max_retries (int): The largest number of retries of a request that exceeds a
            rate limit, times out or meets a server error. The client waits as long as
            the server asks. (default: :obj:`5`)
        timeout (float): The largest number of seconds per request.
            (default: :obj:`60.0`)
        progress (bool): Whether to show a progress bar over several requests.
            (default: :obj:`True`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range, there is no key, or the endpoint
            does not return one finite vector per text, all of one width.
        RuntimeError: If the endpoint cannot be reached or refuses.
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
        check_positive('batch_size', batch_size)
        if dimensions is not None:
            check_positive('dimensions', dimensions)
        check_not_negative('max_retries', max_retries)
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
        r"""Returns vectors of shape :math:`(N, D_t)`. Empty texts are sent as a blank,
        because the API rejects them."""
        from openai import OpenAI

        texts = [text or ' ' for text in checked_texts('texts', texts)]
        if not texts:
            return np.zeros((0, self.dimensions or 0), np.float32)
        blocks: list[npt.NDArray[np.float32]] = []
        with (
            OpenAI(
                api_key=self._key.get(),
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
        r"""The model and its options, for a record beside its vectors."""
        from openai import __version__

        width = {} if self.dimensions is None else {'dimension': self.dimensions}
        return {
            'encoder': type(self).__name__,
            'model': self.model,
            'base_url': self.base_url,
            **width,
            'library': f'openai {__version__}',
        }

    def _request(self, client: Any, texts: list[str]) -> npt.NDArray[np.float32]:
        r"""The vectors of a batch."""
        from openai import OpenAIError

        width = {} if self.dimensions is None else {'dimensions': self.dimensions}
        try:
            # Numbers, because not every endpoint offers base64; and the raw response,
            # because the client takes five times as long to parse it.
            response = client.embeddings.with_raw_response.create(
                input=texts, model=self.model, encoding_format='float', **width
            )
            body = response.http_response.json()
        except (OpenAIError, ValueError) as error:
            reason = f'{error} ({error.__cause__})' if error.__cause__ else str(error)
        else:
            return as_vectors(self.base_url, _embeddings(body), len(texts))
        # Not raised above, because the error of the client holds the request, and the
        # request the key, which some endpoints even repeat in their response.
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
    r"""The vectors of a response, in the order of the texts."""
    data = body.get('data') if isinstance(body, dict) else None
    if not isinstance(data, list) or any('embedding' not in entry for entry in data):
        raise ValueError("the endpoint must return embeddings under 'data', got none")
    index = [entry.get('index') for entry in data]
    if any(each is not None for each in index):  # Some endpoints leave it out.
        if set(index) != set(range(len(data))):
            raise ValueError(
                'the endpoint must number its embeddings from 0, one per text, got '
                f"'index' {index[:10]}"
            )
        data = sorted(data, key=lambda entry: entry['index'])
    return [entry['embedding'] for entry in data]
