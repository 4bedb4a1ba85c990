r"""From raw text to intents and to vectors. A chat model is any callable that answers
conversations, an encoder any callable from a list of texts to an array with a row a
text; one that can :obj:`describe` itself says how its results were made."""

from .chat import (
    ChatError,
    ChatModel,
    ChatReply,
    Conversation,
    LocalChat,
    Message,
    OpenAIChat,
    approximate_tokens,
)
from .encoders import (
    CachedEncoder,
    OpenAIEncoder,
    SentenceEncoder,
    TfidfEncoder,
    VectorFile,
    load_vectors,
    save_vectors,
)
from .intents import (
    Evidence,
    ExtractiveModel,
    Intent,
    IntentExtractor,
    IntentFile,
    IntentRecord,
    Prompt,
    choose_evidence,
    evidence_sha256,
    intent_keywords,
    intents_to_text,
    load_intents,
    save_intents,
)

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
