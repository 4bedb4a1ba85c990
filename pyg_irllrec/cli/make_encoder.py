from __future__ import annotations

from pathlib import Path

from pyg_irllrec.text import CachedEncoder, OpenAIEncoder, SentenceEncoder, TfidfEncoder
from pyg_irllrec.typing import TextEncoder


def make_encoder(name: str, progress: bool) -> TextEncoder:
    r"""Build the text encoder that ``--encoder`` names.

    Args:
        name (str): :obj:`"tfidf"`, :obj:`"sentence:MODEL"`, :obj:`"openai:MODEL"`, or
            :obj:`"openai:MODEL@URL"` for another endpoint.
        progress (bool): Whether to show progress bars.

    Raises:
        ValueError: If the name has none of these forms.
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
        "--encoder must be 'tfidf', 'sentence:MODEL', 'openai:MODEL' or "
        f"'openai:MODEL@URL', got {name!r}"
    )


def cached(encoder: TextEncoder, folder: Path, progress: bool) -> TextEncoder:
    r"""Cache the vectors of an encoder in a folder, unless they are cheap (TF-IDF)."""
    if isinstance(encoder, TfidfEncoder):
        return encoder
    return CachedEncoder(encoder, folder / 'vectors.sqlite', progress=progress)
