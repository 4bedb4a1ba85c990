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
"""What an answer takes, as long as nobody knows better."""
_LONGEST_BACKOFF = 60.0
_LONGEST_WAIT = 600.0


class Stopped(Exception):
    r"""The run was stopped while a call was waiting."""


class PatientChat:
    r"""A chat model that is tried again, within limits of its rate. For many threads.

    Args:
        model (ChatModel): The model.
        concurrency (int): How many calls are on their way at once. More threads than
            that keep them on their way: some prepare a call, read an answer or wait to
            try again meanwhile.
        max_retries (int): How often a call is tried again.
        backoff (float): How many seconds the first wait takes; they double.
        rpm (float, optional): The largest number of requests a minute.
        tpm (float, optional): The largest number of tokens a minute.
        stop (threading.Event): Ends all waiting once it is set.
    """

    def __init__(
        self,
        model: ChatModel,
        concurrency: int,
        max_retries: int,
        backoff: float,
        rpm: Optional[float],
        tpm: Optional[float],
        stop: threading.Event,
    ) -> None:
        self._model = model
        self._slots = threading.BoundedSemaphore(concurrency)
        self._max_retries = max_retries
        self._backoff = backoff
        self._requests = RateLimit(rpm)
        self._tokens = RateLimit(tpm)
        self._stop = stop
        self._random = random.Random()  # Of when, never of what.

    def ask(self, conversation: Conversation) -> ChatReply:
        r"""The answer, with its tokens.

        Raises:
            ChatError: If there is none, after all tries.
            Stopped: If the run was stopped.
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
                if error.kind != 'passing' or attempt == self._max_retries:
                    raise
                self._wait(self._pause(attempt, error))
                attempt += 1
                continue
            reply = _as_reply(answers, conversation)
            used = (reply.prompt_tokens or 0) + (reply.answer_tokens or 0)
            self._tokens.correct(used - planned)
            return reply

    def _pause(self, attempt: int, error: ChatError) -> float:
        if error.retry_after is not None:
            if error.retry_after > _LONGEST_WAIT:
                raise ChatError(
                    f'{error} (asks to wait {error.retry_after:.0f} seconds)', 'final'
                )
            # Not sooner, and not all of them at once.
            return error.retry_after + self._random.uniform(0, self._backoff)
        longest = min(_LONGEST_BACKOFF, self._backoff * 2**attempt)
        return self._random.uniform(longest / 2, longest)

    def _wait(self, seconds: float) -> None:
        if self._stop.is_set() or (seconds > 0 and self._stop.wait(seconds)):
            raise Stopped


def count_tokens(conversation: Conversation) -> int:
    r"""About how many tokens a conversation takes."""
    return sum(approximate_tokens(message['content']) + 4 for message in conversation)


def _as_reply(answers: object, conversation: Conversation) -> ChatReply:
    if not isinstance(answers, (list, tuple)) or len(answers) != 1:
        raise ValueError(
            "'model' must return a list with an answer a conversation, one, got "
            f'{type(answers).__name__}'
        )
    answer = answers[0]
    if not isinstance(answer, str):
        raise ValueError(
            f"'model' must answer with a string, got {type(answer).__name__}"
        )
    prompt_tokens = getattr(answer, 'prompt_tokens', None)
    answer_tokens = getattr(answer, 'answer_tokens', None)
    return ChatReply(
        answer,
        count_tokens(conversation) if prompt_tokens is None else prompt_tokens,
        approximate_tokens(answer) if answer_tokens is None else answer_tokens,
    )
