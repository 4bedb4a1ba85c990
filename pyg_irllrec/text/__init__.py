r"""From raw text to intents and to vectors. A chat model is any callable that answers
conversations, an encoder any callable from a list of texts to an array with a row a
text; one that can :obj:`describe` itself says how its results were made."""

from .cached_encoder import CachedEncoder
from .chat_error import ChatError
from .chat_model import ChatModel, Conversation, Message
from .chat_reply import ChatReply
from .evidence import Evidence, approximate_tokens, choose_evidence, evidence_sha256
from .extractive_model import ExtractiveModel
from .intent_extractor import IntentExtractor
from .intent_file import IntentFile, load_intents, save_intents
from .intent_record import Intent, IntentRecord
from .intents_to_text import intents_to_text
from .keywords import intent_keywords
from .local_chat import LocalChat
from .openai_chat import OpenAIChat
from .openai_encoder import OpenAIEncoder
from .prompt import Prompt
from .sentence_encoder import SentenceEncoder
from .tfidf_encoder import TfidfEncoder
from .vector_file import VectorFile, load_vectors, save_vectors

__all__ = [
    'CachedEncoder',
    'ChatError',
    'ChatModel',
    'ChatReply',
    'Conversation',
    'Evidence',
    'ExtractiveModel',
    'Intent',
    'IntentExtractor',
    'IntentFile',
    'IntentRecord',
    'LocalChat',
    'Message',
    'OpenAIChat',
    'OpenAIEncoder',
    'Prompt',
    'SentenceEncoder',
    'TfidfEncoder',
    'VectorFile',
    'approximate_tokens',
    'choose_evidence',
    'evidence_sha256',
    'intent_keywords',
    'intents_to_text',
    'load_intents',
    'load_vectors',
    'save_intents',
    'save_vectors',
]
