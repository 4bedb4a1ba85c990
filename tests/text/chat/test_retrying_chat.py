from __future__ import annotations

import threading
import time

import pytest

from pyg_irllrec.text.chat._retrying_chat import RetryingChat, RunCancelled
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_reply import ChatReply

ASK = [{'role': 'user', 'content': 'why?'}]


class Cancelled(threading.Event):
    """An event that records waits without waiting."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        assert timeout <= threading.TIMEOUT_MAX
        self.waits.append(timeout)
        return False


def retrying(*answers, **options):
    """A chat that answers or raises in turn, with its calls and waits."""
    calls, left = [], list(answers)

    def model(conversations):
        calls.append(conversations)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    defaults = {'max_retries': 3, 'backoff': 1.0, 'rpm': None, 'tpm': None}
    cancelled = Cancelled()
    chat = RetryingChat(model, 1, **(defaults | options), cancelled=cancelled)
    return chat, calls, cancelled.waits


def test_the_number_of_retries():
    busy = [ChatError(f'busy {k}') for k in range(9)]
    chat, calls, _ = retrying(*busy[:3], 'x')
    assert chat.ask(ASK) == 'x' and len(calls) == 4
    chat, calls, _ = retrying(*busy)
    with pytest.raises(ChatError, match='busy 3'):
        chat.ask(ASK)
    assert len(calls) == 4
    chat, calls, _ = retrying(*busy, max_retries=0)
    with pytest.raises(ChatError, match='busy 0'):
        chat.ask(ASK)
    assert len(calls) == 1


@pytest.mark.parametrize('kind', ['refused', 'final'])
def test_permanent_errors_are_not_retried(kind):
    chat, calls, waits = retrying(ChatError('no', kind))
    with pytest.raises(ChatError, match='no'):
        chat.ask(ASK)
    assert len(calls) == 1 and waits == []


def test_the_delay_between_retries_doubles_up_to_a_minute():
    chat, _, waits = retrying(*[ChatError('busy')] * 9, 'x', max_retries=9)
    chat.ask(ASK)
    for attempt, seconds in enumerate(waits):
        longest = min(60, 2**attempt)
        assert longest / 2 <= seconds <= longest
    assert len(waits) == 9
    chat._random.uniform = lambda least, most: most
    assert chat._retry_delay(5000, ChatError('busy')) == 60


def test_retry_after_sets_the_delay():
    chat, _, waits = retrying(ChatError('busy', retry_after=7), 'x', backoff=0.5)
    chat.ask(ASK)
    assert 7 <= waits[0] <= 7.5
    chat, calls, _ = retrying(ChatError('busy', retry_after=601))
    with pytest.raises(
        ChatError, match=r'wait 601 seconds .0\.2 hours., so run'
    ) as caught:
        chat.ask(ASK)
    assert caught.value.kind == 'refused' and len(calls) == 1


@pytest.mark.parametrize('used', [30, 3000])
@pytest.mark.parametrize('fails', [False, True])
def test_the_token_budget_is_corrected_by_the_used_tokens(used, fails):
    reply = ChatReply('x', used - 10, 10)
    error = ChatError('cut off', 'refused', reply=reply)
    chat, _, waits = retrying(error if fails else reply, 'x', tpm=60)
    if fails:
        with pytest.raises(ChatError):
            chat.ask(ASK)
    else:
        chat.ask(ASK)
    chat.ask(ASK)
    (seconds,) = waits
    assert used - 2 <= seconds <= used  # At one token per second.


def test_a_call_is_one_request():
    chat, _, waits = retrying('x', 'x', rpm=60)
    chat.ask(ASK)
    chat.ask(ASK)
    (seconds,) = waits
    assert 0.5 <= seconds <= 1


@pytest.mark.parametrize('count', [10**30, 10**15, -5, '7', float('nan')])
def test_an_invalid_count_is_estimated(count):
    chat, _, _ = retrying(ChatReply('x' * 8, count, count), tpm=1)
    reply = chat.ask(ASK)
    assert (reply.prompt_tokens, reply.answer_tokens) == (5, 2)


def test_a_wait_of_any_length(monkeypatch):
    reply = ChatReply('x', 10**8, 10**8)
    chat, _, waits = retrying(reply, 'x', tpm=1e-9)
    chat.ask(ASK)
    chat.ask(ASK)
    assert waits == [threading.TIMEOUT_MAX]


def test_none_is_not_an_answer():
    chat, _, _ = retrying(None)
    with pytest.raises(ChatError, match='returned no text') as caught:
        chat.ask(ASK)
    assert caught.value.kind == 'refused'


def test_a_cancelled_run_makes_no_call():
    chat, calls, _ = retrying('x')
    chat._cancelled.set()
    start = time.monotonic()
    with pytest.raises(RunCancelled):
        chat.ask(ASK)
    assert calls == [] and time.monotonic() - start < 1
