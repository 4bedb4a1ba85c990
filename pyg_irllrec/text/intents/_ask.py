from __future__ import annotations

from collections.abc import Sequence

from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.chat._answer_text import UnfinishedThoughts, strip_thoughts
from pyg_irllrec.text.chat._retrying_chat import RetryingChat, count_reply
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.text.intents._journal import JournalEntry
from pyg_irllrec.text.intents._question_maker import Question
from pyg_irllrec.text.intents._wanted import Wanted

_MAX_QUOTED = 100


def ask(chat: RetryingChat, question: Question, wanted: Wanted) -> JournalEntry:
    r"""Ask a question. Ask once more if the answer is invalid.

    Raises:
        ChatError: If the model will not answer any question.
    """
    conversation = question.conversation
    replies: list[ChatReply] = []
    entry = JournalEntry(())
    while len(replies) < 2 and entry.failed:
        try:
            reply = chat.ask(conversation)
        except ChatError as error:
            if error.kind == 'final':
                raise
            entry = JournalEntry((), str(error))
            if error.reply is not None:  # Its tokens were paid for.
                replies.append(count_reply(error.reply, conversation))
            break
        replies.append(reply)
        try:
            entry = wanted.read(reply, question.num_texts)
        except ValueError as error:
            entry = _invalid(reply, error)
            if isinstance(error, UnfinishedThoughts):
                break  # A second answer would end in the same way.
            conversation = [*conversation, *_repair_messages(reply, error)]
    return _add_counts(entry, replies)


def judge(reply: ChatReply, num_texts: int, wanted: Wanted) -> JournalEntry:
    r"""Return the entry of an answer that cannot be repaired by a second question."""
    try:
        entry = wanted.read(reply, num_texts)
    except ValueError as error:
        entry = _invalid(reply, error)
    return _add_counts(entry, [reply])


def fail(error: ChatError) -> JournalEntry:
    r"""Return the entry of a question without an answer."""
    replies = [] if error.reply is None else [error.reply]
    return _add_counts(JournalEntry((), str(error)), replies)


def _add_counts(entry: JournalEntry, replies: Sequence[ChatReply]) -> JournalEntry:
    return entry._replace(
        reason=to_single_line(entry.reason),
        calls=len(replies),
        prompt_tokens=sum(each.prompt_tokens or 0 for each in replies),
        answer_tokens=sum(each.answer_tokens or 0 for each in replies),
    )


def _invalid(reply: str, error: ValueError) -> JournalEntry:
    if isinstance(error, UnfinishedThoughts):
        return JournalEntry((), str(error))
    return JournalEntry((), f'the answer is invalid: {error}{_quote(reply)}')


def _quote(reply: str) -> str:
    r"""Quote the first words of an answer, which may be a refusal or an error."""
    words = to_single_line(
        ((strip_thoughts(reply) or '').strip() or reply)[: 10 * _MAX_QUOTED]
    )
    shown = words[:_MAX_QUOTED] + ('...' if len(words) > _MAX_QUOTED else '')
    return f' (the answer: {shown!r})' if shown else ''


def _repair_messages(reply: str, error: ValueError) -> Conversation:
    # Servers reject lone surrogates, which some models write.
    answer = (strip_thoughts(reply) or '').strip()[:4000]
    answer = answer.encode('utf-8', 'replace').decode()
    return [
        {'role': 'assistant', 'content': answer or '(nothing)'},
        {
            'role': 'user',
            'content': f'This answer cannot be used: {error}. Answer again, with one '
            'JSON object of the form that was asked for and nothing else.',
        },
    ]
