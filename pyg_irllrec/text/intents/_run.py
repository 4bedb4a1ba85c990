from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Optional, TypeVar

from tqdm.auto import tqdm

from pyg_irllrec.text._sqlite_file import READ_SIZE
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents._question_list import QuestionList
from pyg_irllrec.text.intents._question_maker import Question, QuestionMaker
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.intent_record import IntentRecord

_MAX_FAILURES_IN_A_ROW = 25

T = TypeVar('T')


class Run(NamedTuple):
    r"""The questions about some evidence, and the answers so far. In memory, there is
    one batch of them at a time, and eight bytes per question without an answer."""

    evidence: Sequence[Evidence]
    maker: QuestionMaker
    listed: QuestionList
    entries: Optional[Journal]
    """The journal, or :obj:`None` if there is no journal yet."""

    def pending(self) -> tuple[array[int], array[int]]:
        r"""Return a row for each question that was never asked, and for each question
        that failed."""
        unasked, failed = array('q'), array('q')
        for batch in _batches(self.listed.questions()):
            found = self._read([key for key, _, _ in batch])
            for key, row, _ in batch:
                if key not in found:
                    unasked.append(row)
                elif found[key].failed:
                    failed.append(row)
        return unasked, failed

    def questions(
        self, unasked: Iterable[int], failed: Iterable[int]
    ) -> Iterator[Question]:
        r"""Yield the questions of the given rows, failed questions last."""
        for again, rows in enumerate((unasked, failed)):
            for row in rows:
                key = self.listed.key(row)
                yield self.maker.question(key, self.evidence[row], bool(again))

    def counts(self) -> dict[str, int]:
        r"""Return the number of nodes by status, and of calls and tokens in all
        runs."""
        names = ('calls', 'prompt_tokens', 'answer_tokens')
        counts = self.listed.counts() | dict.fromkeys(('ok', 'failed', *names), 0)
        for batch in _batches(self.listed.questions()):
            found = self._read([key for key, _, _ in batch])
            for key, _, num_nodes in batch:
                if (entry := found.get(key)) is None:
                    continue
                counts['failed' if entry.failed else 'ok'] += num_nodes
                for name in names:
                    counts[name] += getattr(entry, name)
        return counts

    def records(self) -> Iterator[IntentRecord]:
        r"""Yield one record per node. All questions must have been asked."""
        row = 0
        for batch in _batches(self.listed.keys()):
            found = self._read([key for key in set(batch) if key is not None])
            for key in batch:
                entry = None if key is None else found[key]
                yield _record(self.evidence[row], entry)
                row += 1

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, JournalEntry]:
        return {} if self.entries is None else self.entries.read(keys)


def follow(
    answers: Iterable[tuple[Question, JournalEntry]],
    total: int,
    pending: int,
    what: str,
    progress: bool,
) -> None:
    r"""Wait for answers, with a progress bar.

    Args:
        answers (iterable): Pairs of a question and its stored entry.
        total (int): The number of questions.
        pending (int): The number of questions that are asked in this run.
        what (str): The kind of answers, for the progress bar.
        progress (bool): Whether to show the bar.

    Raises:
        ChatError: If 25 nodes fail in a row.
    """
    failed, in_a_row = 0, 0
    with tqdm(
        total=total,
        initial=total - pending,
        desc=f'Asking for {what}',
        disable=not progress or pending == 0,
    ) as bar:
        for question, entry in answers:
            failed += entry.failed
            in_a_row = in_a_row + 1 if entry.failed else 0
            # Nodes that failed in an earlier run may never succeed, so they do not end
            # the run.
            if in_a_row >= _MAX_FAILURES_IN_A_ROW and not question.again:
                raise ChatError(
                    f'{in_a_row} nodes failed in a row, so the run was stopped. The '
                    f'last reason was: {entry.reason}',
                    'final',
                )
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()


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


def _batches(values: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(values, READ_SIZE)):
        yield batch
