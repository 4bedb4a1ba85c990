from __future__ import annotations

import random
import threading
from typing import Optional

from pyg_irllrec.text.chat._rate_limit import RateLimit
from pyg_irllrec.text.chat.approximate_tokens import approximate_tokens
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import ChatModel, Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply

ANSWER_TOKENS = 250
"""The expected number of tokens per answer."""
_MAX_BACKOFF_SECONDS = 60.0
_MAX_RETRY_AFTER_SECONDS = 600.0
_MAX_DOUBLINGS = 60  # So that the delay stays within the range of a float.


class RunCancelled(Exception):
    r"""The run was cancelled while a call waited."""


class RetryingChat:
    r"""A chat model with rate limits, which retries calls that fail for a passing
    reason. Threads may share it.

    Args:
        model (ChatModel): The model.
        concurrency (int): The largest number of calls at once. Use more threads than
            this, because some of them prepare a call, read an answer or wait for a
            retry.
        max_retries (int): The largest number of retries per call.
        backoff (float): The number of seconds before the first retry. It doubles with
            each further retry.
        rpm (float, optional): The largest number of requests per minute.
        tpm (float, optional): The largest number of tokens per minute.
        cancelled (threading.Event): The event that ends all waits.
    """

    def __init__(
        self,
        model: ChatModel,
        concurrency: int,
        max_retries: int,
        backoff: float,
        rpm: Optional[float],
        tpm: Optional[float],
        cancelled: threading.Event,
    ) -> None:
        self._model = model
        self._slots = threading.BoundedSemaphore(concurrency)
        self._max_retries = max_retries
        self._backoff = backoff
        self._requests = RateLimit(rpm)
        self._tokens = RateLimit(tpm)
        self._cancelled = cancelled
        self._random = random.Random()  # For delays only.

    def ask(self, conversation: Conversation) -> ChatReply:
        r"""Return the answer, with its token counts.

        Raises:
            ChatError: If the model does not answer after all retries.
            RunCancelled: If the run was cancelled.
        """
        planned = count_tokens(conversation) + ANSWER_TOKENS
        attempt = 0
        while True:
            try:
                with self._slots:
                    self._wait(self._requests.reserve(1))
                    self._wait(self._tokens.reserve(planned))
                    answers = self._model([conversation])
            except ChatError as error:
                if error.reply is not None:
                    self._correct(planned, error.reply)
                if error.kind != 'passing' or attempt == self._max_retries:
                    raise
                self._wait(self._retry_delay(attempt, error))
                attempt += 1
                continue
            reply = _as_reply(answers, conversation)
            self._correct(planned, reply)
            return reply

    def _correct(self, planned: int, reply: ChatReply) -> None:
        used = (reply.prompt_tokens or 0) + (reply.answer_tokens or 0)
        self._tokens.correct(used - planned)

    def _retry_delay(self, attempt: int, error: ChatError) -> float:
        r"""Return the number of seconds to wait before the next retry."""
        if error.retry_after is not None:
            if error.retry_after > _MAX_RETRY_AFTER_SECONDS:
                # Other nodes may still be answered. Many failures in a row end the run.
                raise ChatError(
                    f'{error}: the server asks to wait {error.retry_after:.0f} seconds '
                    f'({error.retry_after / 3600:.1f} hours), so run again later',
                    'refused',
                    reply=error.reply,
                )
            # Jitter keeps threads from retrying all at once.
            jitter = min(_MAX_BACKOFF_SECONDS, self._backoff)
            return error.retry_after + self._random.uniform(0, jitter)
        doublings = min(attempt, _MAX_DOUBLINGS)
        longest = min(_MAX_BACKOFF_SECONDS, self._backoff * 2**doublings)
        return self._random.uniform(longest / 2, longest)

    def _wait(self, seconds: float) -> None:
        seconds = min(seconds, threading.TIMEOUT_MAX)
        if self._cancelled.is_set() or (seconds > 0 and self._cancelled.wait(seconds)):
            raise RunCancelled


def count_tokens(conversation: Conversation) -> int:
    r"""Estimate the number of tokens of a conversation."""
    return sum(approximate_tokens(message['content']) + 4 for message in conversation)


def _as_reply(answers: object, conversation: Conversation) -> ChatReply:
    if not isinstance(answers, (list, tuple)) or len(answers) != 1:
        raise ValueError(
            "'model' must return a list with one answer per conversation, got "
            f'{type(answers).__name__} for one conversation'
        )
    answer = answers[0]
    if answer is None:  # Clients return None if the model declined.
        raise ChatError('the model returned no text', 'refused')
    if not isinstance(answer, str):
        raise ValueError(
            f"'model' must answer with a string, got {type(answer).__name__}"
        )
    return count_reply(answer, conversation)


def count_reply(answer: str, conversation: Conversation) -> ChatReply:
    r"""Return the answer with its token counts, which are estimated if missing."""
    reply = ChatReply(
        answer,
        getattr(answer, 'prompt_tokens', None),
        getattr(answer, 'answer_tokens', None),
    )
    if reply.prompt_tokens is None:
        reply.prompt_tokens = count_tokens(conversation)
    if reply.answer_tokens is None:
        reply.answer_tokens = approximate_tokens(answer)
    return reply
