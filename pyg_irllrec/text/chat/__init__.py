r"""Chat models: language models that answer conversations."""

from .approximate_tokens import approximate_tokens
from .chat_error import ChatError
from .chat_model import ChatModel, Conversation, Message
from .chat_reply import ChatReply
from .local_chat import LocalChat
from .openai_chat import OpenAIChat
from .ray_vllm import RayVLLM

__all__ = [
    'ChatError',
    'ChatModel',
    'ChatReply',
    'Conversation',
    'LocalChat',
    'Message',
    'OpenAIChat',
    'RayVLLM',
    'approximate_tokens',
]
