r"""Encode texts as vectors, and store vectors on disk."""

from .cached_encoder import CachedEncoder
from .encoding_error import EncodingError
from .openai_encoder import OpenAIEncoder
from .sentence_encoder import SentenceEncoder
from .tfidf_encoder import TfidfEncoder
from .vector_file import VectorFile, load_vectors, save_vectors

__all__ = [
    'CachedEncoder',
    'EncodingError',
    'OpenAIEncoder',
    'SentenceEncoder',
    'TfidfEncoder',
    'VectorFile',
    'load_vectors',
    'save_vectors',
]
