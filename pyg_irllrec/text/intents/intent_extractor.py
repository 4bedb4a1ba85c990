from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional, Union

from tqdm.auto import tqdm

from pyg_irllrec.text._sqlite_file import READ_SIZE
from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.chat._answer_text import UnfinishedThoughts, strip_thoughts
from pyg_irllrec.text.chat._retrying_chat import (
    ANSWER_TOKENS,
    RetryingChat,
    count_reply,
    count_tokens,
)
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import ChatModel, Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents.evidence import Evidence, evidence_sha256
from pyg_irllrec.text.intents.intent_file import check_path, save_intents
from pyg_irllrec.text.intents.intent_record import (
    Intent,
    IntentRecord,
    read_answer,
    read_profile,
)
from pyg_irllrec.text.intents.prompt import WRITTEN, Prompt
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import check_flag, check_instance
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_not_negative,
    check_positive,
)
from pyg_irllrec.utils.optional import import_optional

_MAX_FAILURES_IN_A_ROW = 25
_MAX_QUOTED = 100
_LIMITS = ('max_tokens', 'max_completion_tokens')
_SHUTDOWN_SECONDS = 5.0  # For answers that are on their way when a run ends early.

# The results of threads: a row and its entry, or an error.
_Results = queue.SimpleQueue[Union[tuple[int, JournalEntry], BaseException]]


class IntentExtractor:
    r"""Asks a chat model for the intents in each node's evidence, or for a profile of
    the node, and writes one :class:`~pyg_irllrec.text.IntentRecord` per node.

    .. code-block:: python

        evidence = choose_evidence(data)
        extract = IntentExtractor(OpenAIChat('gpt-4o-mini'), concurrency=32)
        extract.estimate(evidence, 'intents.jsonl')  # calls, tokens and cost
        extract(evidence, 'intents.jsonl')

    :class:`~pyg_irllrec.transforms.AddIntents` and
    :class:`~pyg_irllrec.transforms.AddProfiles` put the texts on the graph.

    **Interruption.** A run can be stopped at any moment, by Ctrl-C or SIGKILL, and the
    next call continues from there: each valid answer is stored at once in the journal,
    a SQLite file. Its key is a hash of the model's description (without
    :obj:`"library"` and :obj:`"max_tokens"`: a larger limit changes no answer that was
    not cut off), the prompt and the texts. Nodes with the same texts are asked about
    once.

    **Retries.** Calls that fail for a passing reason are retried, after the time that
    the server asks for, else after a time that doubles, with jitter. The run ends when
    the key is wrong, or 25 nodes fail in a row.

    **Invalid answers** are sent back once, with the reason. If the second answer is
    invalid too, the node is recorded as failed, and asked about again in the next run.
    So is, without a second call, a node whose answer was cut off, filtered or declined:
    it would be so again. Its reason names what to change. A conversation holds the
    texts of one node, in a fence: no text can change the record of another node.

    Args:
        model (ChatModel): The model, with a method :obj:`describe()`.
        what (str): What to ask for: :obj:`"intents"`, why users act and items are
            chosen, or :obj:`"profiles"`, what users like and items offer, in a short
            text each. (default: :obj:`"intents"`)
        prompts (dict, optional): The prompt of each node type.
            (default: :obj:`None`, :meth:`~pyg_irllrec.text.Prompt.packaged` by
            :obj:`Evidence.role`)
        max_intents (int): The largest number of intents per node, which profiles have
            no use for. (default: :obj:`5`)
        concurrency (int): The largest number of calls at once. (default: :obj:`8`)
        max_retries (int): The largest number of retries per call. (default: :obj:`6`)
        backoff (float): The seconds before the first retry, unless the server asks for
            a time. (default: :obj:`1.0`)
        rpm (float, optional): The largest number of requests per minute.
            (default: :obj:`None`, no limit)
        tpm (float, optional): The largest number of tokens per minute, of prompts and
            answers. (default: :obj:`None`, no limit)
        prompt_price (float): The price of 1000 tokens of prompts.
            (default: :obj:`0.0`)
        answer_price (float): The price of 1000 tokens of answers. Where both prices
            are 0, the cost is :obj:`None`, unknown. (default: :obj:`0.0`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ImportError: If pydantic is not installed.
        ValueError: If an argument is out of range, or the model has no description.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        what: str = 'intents',
        prompts: Optional[Mapping[str, Prompt]] = None,
        max_intents: int = 5,
        concurrency: int = 8,
        max_retries: int = 6,
        backoff: float = 1.0,
        rpm: Optional[float] = None,
        tpm: Optional[float] = None,
        prompt_price: float = 0.0,
        answer_price: float = 0.0,
        progress: bool = True,
    ) -> None:
        import_optional('pydantic', type(self).__name__, 'llm')
        check_choice('what', what, WRITTEN)
        check_count('max_intents', max_intents)
        check_count('concurrency', concurrency)
        check_count('max_retries', max_retries, least=0)
        check_flag('progress', progress)
        if prompts is not None:
            check_instance('prompts', prompts, Mapping)
            for side, prompt in prompts.items():
                check_instance(f'prompts[{side!r}]', prompt, Prompt)
        for name, value in (
            ('backoff', backoff),
            ('rpm', 1 if rpm is None else rpm),
            ('tpm', 1 if tpm is None else tpm),
        ):
            check_positive(name, value)
        for name, value in (
            ('prompt_price', prompt_price),
            ('answer_price', answer_price),
        ):
            check_not_negative(name, value)
        self.model = model
        self.what = what
        self.prompts = prompts
        self.max_intents = max_intents
        self.concurrency = concurrency
        self.max_retries = max_retries
        self.backoff = backoff
        self.rpm = rpm
        self.tpm = tpm
        self.prompt_price = prompt_price
        self.answer_price = answer_price
        self.progress = progress
        self._packaged: dict[str, Prompt] = {}
        self._describe_model()

    def __call__(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        journal: Optional[PathLike] = None,
    ) -> dict[str, Any]:
        r"""Asks about each node without an answer in the journal, and writes one record
        per node, in the order of :obj:`evidence`, and a manifest beside the file.

        Args:
            evidence (sequence of Evidence): The evidence, one per node. Several
                threads read it when they need it.
            path (str or Path): The file to write, :obj:`.jsonl`.
            journal (str or Path, optional): The SQLite file. Runs may share it, one
                after the other. Where it is damaged, what can be read of it is put
                into a new file, with a warning, and the damaged one is kept beside it.
                (default: :obj:`None`, such as :obj:`intents.sqlite` for
                :obj:`intents.jsonl`)

        Returns:
            The manifest: model, prompts, evidence, counts, cost and date.

        Raises:
            ValueError: If a path has another suffix, or a node is repeated.
            OSError: If another run has locked the journal.
            ChatError: If the model answers no question. The journal keeps earlier
                answers, and :obj:`path` stays as it was.
        """
        path = check_path(path)
        keys, prompts = self._question_keys(evidence)
        with Journal(_journal_path(path, journal)) as entries:
            self._ask_all(evidence, keys, entries)
            counts = _count(keys, entries)
            manifest = {
                **self._describe(evidence, prompts),
                'counts': counts,
                'cost': self._cost(counts),
                'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            }
            save_intents(path, _records(evidence, keys, entries), manifest)
        return manifest

    def estimate(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        journal: Optional[PathLike] = None,
    ) -> dict[str, Any]:
        r"""Estimates a run without a call and without a key: calls (without retries),
        tokens by :func:`~pyg_irllrec.text.approximate_tokens`, with 250 per answer,
        and cost. Nothing is written.

        Args:
            evidence (sequence of Evidence): As in a call.
            path (str or Path): As in a call.
            journal (str or Path, optional): As in a call. (default: :obj:`None`)

        Raises:
            ValueError: If a path has another suffix, or a node is repeated.
            OSError: If another run has locked the journal.
        """
        path = check_path(path)
        journal = _journal_path(path, journal)
        keys, _ = self._question_keys(evidence)
        if journal.is_file():
            with Journal(journal) as entries:
                unasked, failed = _pending(keys, entries)
        else:
            unasked, failed = _first_rows(keys), []
        pending = unasked + failed
        tokens = sum(count_tokens(self._question(evidence[row])) for row in pending)
        counts = {
            'nodes': len(keys),
            'no evidence': keys.count(None),
            'calls': len(pending),
            'prompt_tokens': tokens,
            'answer_tokens': ANSWER_TOKENS * len(pending),
        }
        return {**counts, 'cost': self._cost(counts)}

    def _ask_all(
        self,
        evidence: Sequence[Evidence],
        keys: Sequence[Optional[bytes]],
        entries: Journal,
    ) -> None:
        r"""Asks the questions without an answer, from several threads."""
        unasked, failed = _pending(keys, entries)
        pending = unasked + failed
        cancelled = threading.Event()
        chat = RetryingChat(
            self.model,
            self.concurrency,
            self.max_retries,
            self.backoff,
            self.rpm,
            self.tpm,
            cancelled,
        )
        rows: queue.SimpleQueue[int] = queue.SimpleQueue()
        for row in pending:
            rows.put(row)
        results: _Results = queue.SimpleQueue()

        def work() -> None:
            try:
                while not cancelled.is_set():
                    try:
                        row = rows.get_nowait()
                    except queue.Empty:
                        return
                    entry = self._ask(chat, evidence[row])
                    # In this thread, so that no paid answer is lost.
                    entries.write(keys[row] or b'', entry)
                    results.put((row, entry))
            except BaseException as error:  # Raised by the main thread.
                results.put(error)

        threads = [
            threading.Thread(target=work, daemon=True)
            for _ in range(min(2 * self.concurrency, len(pending)))
        ]
        for thread in threads:
            thread.start()
        try:
            total = len(_first_rows(keys))
            self._await_results(results, total, len(pending), set(failed))
        finally:
            cancelled.set()
            _join(threads, _SHUTDOWN_SECONDS)

    def _await_results(
        self, results: _Results, total: int, count: int, failed_before: set[int]
    ) -> None:
        r"""Waits for :obj:`count` results, and raises the error of a thread."""
        failed, in_a_row = 0, 0
        with tqdm(
            total=total,
            initial=total - count,
            desc=f'Asking for {self.what}',
            disable=not self.progress or count == 0,
        ) as bar:
            for _ in range(count):
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                row, entry = result
                failed += entry.failed
                in_a_row = in_a_row + 1 if entry.failed else 0
                # Nodes that failed in an earlier run may always fail: they must not
                # end the run.
                if in_a_row >= _MAX_FAILURES_IN_A_ROW and row not in failed_before:
                    raise ChatError(
                        f'{in_a_row} nodes failed in a row, so the run was stopped; '
                        f'the last reason: {entry.reason}',
                        'final',
                    )
                bar.set_postfix(failed=failed, refresh=False)
                bar.update()

    def _ask(self, chat: RetryingChat, evidence: Evidence) -> JournalEntry:
        r"""Asks about a node, and once more where the answer is invalid."""
        question = self._question(evidence)
        replies: list[ChatReply] = []
        intents: tuple[Intent, ...] = ()
        profile = reason = ''
        while len(replies) < 2 and not intents and not profile:
            try:
                reply = chat.ask(question)
            except ChatError as error:
                if error.kind == 'final':
                    raise
                reason = str(error)
                if error.reply is not None:  # It was paid for.
                    replies.append(count_reply(error.reply, question))
                break
            replies.append(reply)
            try:
                if self.what == 'profiles':
                    profile = read_profile(reply)
                else:
                    intents = read_answer(reply, len(evidence.texts), self.max_intents)
            except UnfinishedThoughts as error:
                reason = str(error)
                break  # A second answer would end within thoughts too.
            except ValueError as error:
                reason = f'the answer is invalid: {error}{_quote(reply)}'
                question = [*question, *_repair_messages(reply, error)]
        return JournalEntry(
            intents,
            '' if intents or profile else to_single_line(reason),
            len(replies),
            sum(each.prompt_tokens or 0 for each in replies),
            sum(each.answer_tokens or 0 for each in replies),
            profile,
        )

    def _question(self, evidence: Evidence) -> Conversation:
        prompt = self._prompt(evidence)
        return prompt.messages(evidence.texts, self.max_intents)

    def _prompt(self, evidence: Evidence) -> Prompt:
        if self.prompts is not None and evidence.side in self.prompts:
            return self.prompts[evidence.side]
        role = evidence.role or evidence.side
        if role not in self._packaged:
            self._packaged[role] = Prompt.packaged(role, self.what)
        return self._packaged[role]

    def _question_keys(
        self, evidence: Sequence[Evidence]
    ) -> tuple[list[Optional[bytes]], dict[str, Prompt]]:
        r"""The hash of each node's question, :obj:`None` for a node without texts; and
        the prompt of each node type."""
        model = _without_limits(self._describe_model())
        prompts: dict[str, Prompt] = {}
        salts: dict[str, bytes] = {}
        nodes = set()
        keys: list[Optional[bytes]] = []
        for each in evidence:
            if (each.side, each.id) in nodes:
                raise ValueError(
                    f"'evidence' must hold each node once, got {each.side} {each.id!r} "
                    'twice'
                )
            nodes.add((each.side, each.id))
            prompt = self._prompt(each)
            if prompts.setdefault(each.side, prompt) is not prompt:
                raise ValueError(
                    "'evidence' must have one role for each node type, got nodes of "
                    f"'{each.side}' of several"
                )
            if each.side not in salts:
                shared = json.dumps(
                    [model, prompt.describe(), self._describe_wanted()], sort_keys=True
                )
                salts[each.side] = hashlib.sha256(shared.encode()).digest()
            digest = hashlib.sha256(salts[each.side] + each.sha256.encode()).digest()
            keys.append(digest if each.texts else None)
        return keys, prompts

    def _describe_model(self) -> dict[str, Any]:
        describe = getattr(self.model, 'describe', None)
        if describe is None:
            raise ValueError(
                "'model' must have a method describe() that returns a dictionary, got "
                f'{self.model!r}'
            )
        return as_json('model.describe()', dict(describe()))

    def _describe(
        self, evidence: Sequence[Evidence], prompts: Mapping[str, Prompt]
    ) -> dict[str, Any]:
        return {
            'model': self._describe_model(),
            'prompts': {
                side: prompt.describe() for side, prompt in sorted(prompts.items())
            },
            **self._describe_wanted(),
            'evidence': _describe_evidence(evidence),
            'evidence_sha256': evidence_sha256(evidence),
        }

    def _describe_wanted(self) -> dict[str, Any]:
        if self.what == 'profiles':
            return {'what': self.what}
        return {'what': self.what, 'max_intents': self.max_intents}

    def _cost(self, counts: Mapping[str, int]) -> Optional[float]:
        if self.prompt_price == self.answer_price == 0:
            return None  # Unknown, not free.
        prompts = counts['prompt_tokens'] * self.prompt_price
        answers = counts['answer_tokens'] * self.answer_price
        return round((prompts + answers) / 1000, 6)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.model!r}, what={self.what!r}, '
            f'max_intents={self.max_intents}, concurrency={self.concurrency})'
        )


def _without_limits(model: dict[str, Any]) -> dict[str, Any]:
    r"""What a whole answer depends on."""
    model = {k: v for k, v in model.items() if k not in ('library', *_LIMITS)}
    if isinstance(model.get('options'), dict):
        options = model['options'].items()
        model['options'] = {k: v for k, v in options if k not in _LIMITS}
    return model


def _pending(
    keys: Sequence[Optional[bytes]], entries: Journal
) -> tuple[list[int], list[int]]:
    r"""One row per question that was never asked, and one per question that failed."""
    row_of = {keys[row] or b'': row for row in _first_rows(keys)}
    unasked, failed = dict(row_of), []
    for key, entry in _read_entries(list(row_of), entries):
        del unasked[key]
        if entry.failed:
            failed.append(row_of[key])
    return list(unasked.values()), sorted(failed)


def _count(keys: Sequence[Optional[bytes]], entries: Journal) -> dict[str, int]:
    r"""The numbers of nodes by status, and of calls and tokens in all runs."""
    nodes = Counter(keys)
    names = ('ok', 'failed', 'calls', 'prompt_tokens', 'answer_tokens')
    counts = dict.fromkeys(('nodes', 'no evidence', *names), 0)
    counts |= {'nodes': len(keys), 'no evidence': nodes.pop(None, 0)}
    asked = [key for key in nodes if key is not None]
    for key, entry in _read_entries(asked, entries):
        counts['failed' if entry.failed else 'ok'] += nodes[key]
        for name in names[2:]:
            counts[name] += getattr(entry, name)
    return counts


def _read_entries(
    keys: Sequence[bytes], entries: Journal
) -> Iterator[tuple[bytes, JournalEntry]]:
    for start in range(0, len(keys), READ_SIZE):
        yield from entries.read(keys[start : start + READ_SIZE]).items()


def _records(
    evidence: Sequence[Evidence], keys: Sequence[Optional[bytes]], entries: Journal
) -> Iterator[IntentRecord]:
    r"""The records, one per node."""
    for start in range(0, len(keys), READ_SIZE):
        batch = keys[start : start + READ_SIZE]
        found = entries.read([key for key in set(batch) if key is not None])
        for row, key in enumerate(batch, start):
            yield _record(evidence[row], None if key is None else found[key])


def _record(evidence: Evidence, entry: Optional[JournalEntry]) -> IntentRecord:
    if entry is None:
        status, entry = 'no evidence', JournalEntry(())
    else:
        status = 'failed' if entry.failed else 'ok'
    return IntentRecord(
        evidence.side,
        evidence.id,
        status,
        entry.intents,
        entry.reason,
        evidence.sources,
        evidence.sha256,
        entry.profile,
    )


def _describe_evidence(evidence: Sequence[Evidence]) -> Optional[dict[str, Any]]:
    r"""The options that the evidence was chosen with, if it has a description."""
    describe = getattr(evidence, 'describe', None)
    return None if describe is None else as_json('evidence.describe()', describe())


def _quote(reply: str) -> str:
    r"""The first words of an answer, which may be a refusal or an error."""
    words = to_single_line(
        ((strip_thoughts(reply) or '').strip() or reply)[: 10 * _MAX_QUOTED]
    )
    shown = words[:_MAX_QUOTED] + ('...' if len(words) > _MAX_QUOTED else '')
    return f' (the answer: {shown!r})' if shown else ''


def _repair_messages(reply: str, error: ValueError) -> Conversation:
    # Servers refuse halves of characters, which some models write.
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


def _first_rows(keys: Sequence[Optional[bytes]]) -> list[int]:
    r"""The first row of each distinct key."""
    first: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        if key is not None:
            first.setdefault(key, row)
    return list(first.values())


def _journal_path(path: Path, journal: Optional[PathLike]) -> Path:
    return path.with_suffix('.sqlite') if journal is None else Path(journal)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    r"""Waits for threads, at most so long for all together."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
