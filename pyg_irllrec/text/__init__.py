r"""From raw text to vectors. An encoder is any callable from a list of texts to an
array with a row a text."""

from .keywords import intent_keywords
from .sentence_encoder import SentenceEncoder
from .tfidf_encoder import TfidfEncoder

__all__ = ['SentenceEncoder', 'TfidfEncoder', 'intent_keywords']
