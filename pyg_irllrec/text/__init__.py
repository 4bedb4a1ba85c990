r"""From raw text to vectors. An encoder is any callable from a list of texts to an
array with a row a text; one that can :obj:`describe` itself says how its vectors were
made."""

from .cached_encoder import CachedEncoder
from .keywords import intent_keywords
from .openai_encoder import OpenAIEncoder
from .sentence_encoder import SentenceEncoder
from .tfidf_encoder import TfidfEncoder
from .vector_file import VectorFile, load_vectors, save_vectors

__all__ = [
    'CachedEncoder',
    'OpenAIEncoder',
    'SentenceEncoder',
    'TfidfEncoder',
    'VectorFile',
    'intent_keywords',
    'load_vectors',
    'save_vectors',
]
