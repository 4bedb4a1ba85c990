from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional, Union

from tqdm.auto import tqdm

from pyg_irllrec.text._one_line import one_line
from pyg_irllrec.text._sqlite_file import READ_SIZE
from pyg_irllrec.text.chat._patient_chat import (
    ANSWER_TOKENS,
    PatientChat,
    count_tokens,
)
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import ChatModel, Conversation
from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents._journal import Journal, Outcome
from pyg_irllrec.text.intents.evidence import Evidence, evidence_sha256
from pyg_irllrec.text.intents.intent_file import check_path, save_intents
from pyg_irllrec.text.intents.intent_record import (
    IntentRecord,
    read_answer,
    require_pydantic,
)
from pyg_irllrec.text.intents.prompt import Prompt
from pyg_irllrec.utils.checks import check_not_negative, check_positive

_GIVE_UP_AFTER = 25  # Nodes that fail one after the other: then something is broken.
_GRACE = 5.0  # Seconds for answers that are on their way when a run is stopped.

# What threads hand over: the row and its outcome, or what they met.
_Results = queue.SimpleQueue[Union[tuple[int, Outcome], BaseException]]


class IntentExtractor:
    r"""Asks a chat model about each node's evidence, and writes a record a node
    (:class:`~pyg_irllrec.text.IntentRecord`).

    .. code-block:: python

        evidence = choose_evidence(data)
        extract = IntentExtractor(OpenAIChat('gpt-4o-mini'), concurrency=32)
        extract.estimate(evidence, 'intents.jsonl')  # what it would cost
        extract(evidence, 'intents.jsonl')

    **It can be stopped** at any moment, by Ctrl-C or by SIGKILL, and goes on from
    there when it is called again: each answer is in the journal, a SQLite file, as
    soon as it is read and has been found to fit. It is found there by what the model
    says of itself (all but :obj:`"library"`), the prompt, and the texts; nodes with
    the same texts are asked about once.

    **It waits**: calls that fail for a passing reason are tried again, after as long
    as the server says, else after a time that doubles, with jitter. When
    a key is wrong, or 25 nodes fail one after the other, the run ends.

    **Answers that do not fit** are sent back once, with what is wrong about them.
    What does not fit then is recorded as failed, with its reason, and is asked again
    in the next run. A conversation holds the texts of a single node, fenced: whatever
    they say, no other node's record depends on it.

    Args:
        model (ChatModel): The model, with a method :obj:`describe()`.
        prompts (dict, optional): The prompt of each side.
            (default: :obj:`None`, :meth:`Prompt.packaged`)
        max_intents (int): The largest number of intents a node. (default: :obj:`5`)
        concurrency (int): How many calls are on their way at once.
            (default: :obj:`8`)
        max_retries (int): How often a call is tried again. (default: :obj:`6`)
        backoff (float): How many seconds the first wait takes, without a word from
            the server. (default: :obj:`1.0`)
        rpm (float, optional): The largest number of requests a minute.
            (default: :obj:`None`)
        tpm (float, optional): The largest number of tokens a minute, of prompts and
            answers. (default: :obj:`None`)
        prompt_price (float): What 1000 tokens of a prompt cost. (default: :obj:`0.0`)
        answer_price (float): What 1000 tokens of an answer cost.
            (default: :obj:`0.0`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ImportError: If pydantic is not installed.
        ValueError: If an argument is out of range, or the model says nothing of
            itself.
    """

    def __init__(
        self,
        model: ChatModel,
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
        require_pydantic(type(self).__name__)
        for name, value in (
            ('max_intents', max_intents),
            ('concurrency', concurrency),
            ('backoff', backoff),
            ('rpm', 1 if rpm is None else rpm),
            ('tpm', 1 if tpm is None else tpm),
        ):
            check_positive(name, value)
        for name, value in (
            ('max_retries', max_retries),
            ('prompt_price', prompt_price),
            ('answer_price', answer_price),
        ):
            check_not_negative(name, value)
        self.model = model
        self.prompts = dict(prompts or {})
        self.max_intents = max_intents
        self.concurrency = concurrency
        self.max_retries = max_retries
        self.backoff = backoff
        self.rpm = rpm
        self.tpm = tpm
        self.prompt_price = prompt_price
        self.answer_price = answer_price
        self.progress = progress
        self._describe_model()

    def __call__(
        self,
        evidence: Sequence[Evidence],
        path: Union[str, os.PathLike[str]],
        journal: Union[str, os.PathLike[str], None] = None,
    ) -> dict[str, Any]:
        r"""Asks about every node that the journal has no answer for, and writes
        :obj:`path`, a record a node in the order of :obj:`evidence`, and a manifest
        beside it.

        Args:
            evidence (sequence of Evidence): What is known of each node. It is read
                when it is needed, by several threads.
            path (str or Path): The file to write, :obj:`.jsonl`.
            journal (str or Path, optional): The SQLite file. Several runs may share
                one, one after the other. (default: :obj:`None`,
                :obj:`intents.sqlite` for :obj:`intents.jsonl`)

        Returns:
            The manifest: model, prompts, evidence, counts, cost and date.

        Raises:
            ValueError: If a path does not fit, or a node is there twice.
            OSError: If another run has the journal.
            ChatError: If the model cannot be asked at all. What it has answered is
                kept, and :obj:`path` stays as it was.
        """
        path = check_path(path)
        keys = self._keys(evidence)
        with Journal(_journal_path(path, journal)) as book:
            self._ask_all(evidence, keys, book)
            counts = _count(keys, book)
            manifest = {
                **self._describe(evidence),
                'counts': counts,
                'cost': self._cost(counts),
                'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            }
            save_intents(path, _records(evidence, keys, book), manifest)
        return manifest

    def estimate(
        self,
        evidence: Sequence[Evidence],
        path: Union[str, os.PathLike[str]],
        journal: Union[str, os.PathLike[str], None] = None,
    ) -> dict[str, Any]:
        r"""What a run would take, without a call and without a key: calls (without
        repeated ones), tokens by :func:`approximate_tokens`, and cost. An answer is
        taken for 250 tokens. Nothing is written.

        Args:
            evidence (sequence of Evidence): As above.
            path (str or Path): As above.
            journal (str or Path, optional): As above.

        Raises:
            ValueError: If a path does not fit, or a node is there twice.
            OSError: If another run has the journal.
        """
        path = check_path(path)
        place = _journal_path(path, journal)
        keys = self._keys(evidence)
        if place.is_file():
            with Journal(place) as book:
                fresh, again = _pending(keys, book)
        else:
            fresh, again = _distinct(keys), []
        pending = fresh + again
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
        book: Journal,
    ) -> None:
        r"""Asks about what has no answer yet, from several threads."""
        fresh, again = _pending(keys, book)
        pending = fresh + again
        stop = threading.Event()
        chat = PatientChat(
            self.model,
            self.concurrency,
            self.max_retries,
            self.backoff,
            self.rpm,
            self.tpm,
            stop,
        )
        rows = _SharedIterator(pending)
        done: _Results = queue.SimpleQueue()

        def work() -> None:
            try:
                while not stop.is_set() and (row := rows.next()) is not None:
                    outcome = self._ask(chat, evidence[row])
                    # Here, not in the main thread: what is paid for is kept at once.
                    book.write(keys[row] or b'', outcome)
                    done.put((row, outcome))
            except BaseException as error:  # Told by the main thread.
                done.put(error)

        threads = [
            threading.Thread(target=work, daemon=True)
            for _ in range(min(2 * self.concurrency, len(pending)))
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(done, len(_distinct(keys)), len(pending), set(again))
        finally:
            stop.set()
            _join(threads, _GRACE)

    def _watch(self, done: _Results, total: int, count: int, again: set[int]) -> None:
        r"""Waits for :obj:`count` outcomes; raises what a thread has raised."""
        failed, in_a_row = 0, 0
        with tqdm(
            total=total,
            initial=total - count,
            desc='Asking for intents',
            disable=not self.progress or count == 0,
        ) as bar:
            for _ in range(count):
                result = done.get()
                if isinstance(result, BaseException):
                    raise result
                row, outcome = result
                failed += outcome.failed
                in_a_row = in_a_row + 1 if outcome.failed else 0
                # What failed in an earlier run may do so for good: that must not keep
                # the rest from being written.
                if in_a_row >= _GIVE_UP_AFTER and row not in again:
                    raise ChatError(
                        f'{in_a_row} nodes failed one after the other, so the run was '
                        f'stopped; the last one: {outcome.reason}',
                        'final',
                    )
                bar.set_postfix(failed=failed, refresh=False)
                bar.update()

    def _ask(self, chat: PatientChat, evidence: Evidence) -> Outcome:
        r"""Asks about a node, and once again where the answer does not fit."""
        question = self._question(evidence)
        calls, prompt_tokens, answer_tokens = 0, 0, 0
        reason = ''
        for _ in range(2):
            try:
                reply = chat.ask(question)
            except ChatError as error:
                if error.kind == 'final':
                    raise
                reason = str(error)
                break
            calls += 1
            prompt_tokens += reply.prompt_tokens or 0
            answer_tokens += reply.answer_tokens or 0
            try:
                intents = read_answer(reply, len(evidence.texts), self.max_intents)
            except ValueError as error:
                reason = one_line(f'the answer does not fit: {error}')
                question = [*question, *_repair(reply, error)]
            else:
                return Outcome(intents, '', calls, prompt_tokens, answer_tokens)
        return Outcome((), reason, calls, prompt_tokens, answer_tokens)

    def _question(self, evidence: Evidence) -> Conversation:
        prompt = self._prompt(evidence.side)
        return prompt.messages(evidence.texts, self.max_intents)

    def _prompt(self, side: str) -> Prompt:
        if side not in self.prompts:
            self.prompts[side] = Prompt.packaged(side)
        return self.prompts[side]

    def _keys(self, evidence: Sequence[Evidence]) -> list[Optional[bytes]]:
        r"""A hash of what each node is asked; :obj:`None` where nothing is known."""
        model = self._describe_model()
        model.pop('library', None)
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
            if each.side not in salts:
                prompt = self._prompt(each.side).describe()
                asked = json.dumps([model, prompt, self.max_intents], sort_keys=True)
                salts[each.side] = hashlib.sha256(asked.encode()).digest()
            digest = hashlib.sha256(salts[each.side] + each.sha256.encode()).digest()
            keys.append(digest if each.texts else None)
        return keys

    def _describe_model(self) -> dict[str, Any]:
        describe = getattr(self.model, 'describe', None)
        if describe is None:
            raise ValueError(
                "'model' must have a method describe() that returns a dictionary, got "
                f'{self.model!r}'
            )
        return as_json('model.describe()', dict(describe()))

    def _describe(self, evidence: Sequence[Evidence]) -> dict[str, Any]:
        return {
            'model': self._describe_model(),
            'prompts': {
                side: prompt.describe() for side, prompt in sorted(self.prompts.items())
            },
            'max_intents': self.max_intents,
            'evidence': _describe_evidence(evidence),
            'evidence_sha256': evidence_sha256(evidence),
        }

    def _cost(self, counts: Mapping[str, int]) -> float:
        prompts = counts['prompt_tokens'] * self.prompt_price
        answers = counts['answer_tokens'] * self.answer_price
        return round((prompts + answers) / 1000, 6)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.model!r}, max_intents={self.max_intents}, '
            f'concurrency={self.concurrency})'
        )


class _SharedIterator:
    r"""Rows for many threads, each once."""

    def __init__(self, rows: Sequence[int]) -> None:
        self._rows = iter(rows)
        self._lock = threading.Lock()

    def next(self) -> Optional[int]:
        with self._lock:
            return next(self._rows, None)


def _pending(
    keys: Sequence[Optional[bytes]], book: Journal
) -> tuple[list[int], list[int]]:
    r"""A row for each question that was never asked, and for each that failed."""
    row_of = {keys[row] or b'': row for row in _distinct(keys)}
    fresh, again = dict(row_of), []
    for key, outcome in _recall(list(row_of), book):
        del fresh[key]
        if outcome.failed:
            again.append(row_of[key])
    return list(fresh.values()), sorted(again)


def _count(keys: Sequence[Optional[bytes]], book: Journal) -> dict[str, int]:
    r"""How many nodes are how far, and what their answers took, in all runs."""
    nodes = Counter(keys)
    names = ('ok', 'failed', 'calls', 'prompt_tokens', 'answer_tokens')
    counts = dict.fromkeys(('nodes', 'no evidence', *names), 0)
    counts |= {'nodes': len(keys), 'no evidence': nodes.pop(None, 0)}
    for key, outcome in _recall([key for key in nodes if key is not None], book):
        counts['failed' if outcome.failed else 'ok'] += nodes[key]
        for name in names[2:]:
            counts[name] += getattr(outcome, name)
    return counts


def _recall(keys: Sequence[bytes], book: Journal) -> Iterator[tuple[bytes, Outcome]]:
    for start in range(0, len(keys), READ_SIZE):
        yield from book.read(keys[start : start + READ_SIZE]).items()


def _records(
    evidence: Sequence[Evidence], keys: Sequence[Optional[bytes]], book: Journal
) -> Iterator[IntentRecord]:
    r"""The records, node by node."""
    for start in range(0, len(keys), READ_SIZE):
        some = keys[start : start + READ_SIZE]
        found = book.read([key for key in set(some) if key is not None])
        for row, key in enumerate(some, start):
            yield _record(evidence[row], None if key is None else found[key])


def _record(evidence: Evidence, outcome: Optional[Outcome]) -> IntentRecord:
    if outcome is None:
        status, outcome = 'no evidence', Outcome(())
    else:
        status = 'failed' if outcome.failed else 'ok'
    return IntentRecord(
        evidence.side,
        evidence.id,
        status,
        outcome.intents,
        outcome.reason,
        evidence.sources,
        evidence.sha256,
    )


def _describe_evidence(evidence: Sequence[Evidence]) -> Optional[dict[str, Any]]:
    r"""How it was chosen, where it can tell."""
    describe = getattr(evidence, 'describe', None)
    return None if describe is None else as_json('evidence.describe()', describe())


def _repair(reply: str, error: ValueError) -> Conversation:
    return [
        {'role': 'assistant', 'content': reply[:4000] or '(nothing)'},
        {
            'role': 'user',
            'content': f'This answer cannot be used: {error}. Answer again, with one '
            'JSON object of the form that was asked for and nothing else.',
        },
    ]


def _distinct(keys: Sequence[Optional[bytes]]) -> list[int]:
    r"""The first row of each key."""
    first: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        if key is not None:
            first.setdefault(key, row)
    return list(first.values())


def _journal_path(path: Path, journal: Union[str, os.PathLike[str], None]) -> Path:
    return path.with_suffix('.sqlite') if journal is None else Path(journal)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    r"""Waits for threads, so long all together."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
