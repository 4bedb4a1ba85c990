from __future__ import annotations

from pathlib import Path

from pyg_irllrec.text import CachedEncoder, OpenAIEncoder, SentenceEncoder, TfidfEncoder
from pyg_irllrec.typing import TextEncoder


def make_encoder(name: str, progress: bool) -> TextEncoder:
    r"""The encoder of texts by the name that ``--encoder`` has for it.

    Args:
        name (str): :obj:`"tfidf"`, :obj:`"sentence:MODEL"`, or :obj:`"openai:MODEL"`,
            at another endpoint :obj:`"openai:MODEL@URL"`.
        progress (bool): Whether to show progress bars.

    Raises:
        ValueError: If the name is none of these.
        ImportError: If the encoder needs an extra that is not installed.
    """
    kind, _, model = name.partition(':')
    if name == 'tfidf':
        return TfidfEncoder()
    if kind == 'sentence' and model:
        return SentenceEncoder(model, progress=progress)
    if kind == 'openai' and model:
        model, _, url = model.partition('@')
        if url:
            return OpenAIEncoder(model, url, progress=progress)
        return OpenAIEncoder(model, progress=progress)
    raise ValueError(
        f"--encoder must be 'tfidf', 'sentence:MODEL' or 'openai:MODEL', got {name!r}"
    )


def cached(encoder: TextEncoder, folder: Path, progress: bool) -> TextEncoder:
    r"""The encoder with a cache in a folder, where its vectors cost time or money."""
    if isinstance(encoder, TfidfEncoder):
        return encoder
    return CachedEncoder(encoder, folder / 'vectors.sqlite', progress=progress)
