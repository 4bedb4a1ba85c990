from __future__ import annotations

import json
import pickle
import shutil
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from pyg_irllrec.text.chat._retrying_chat import RetryingChat
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import ChatModel
from pyg_irllrec.text.chat.ray_vllm import RayVLLM
from pyg_irllrec.text.intents._ask import ask, fail, judge
from pyg_irllrec.text.intents._ask_in_threads import Answer
from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents._question_maker import Question
from pyg_irllrec.text.intents._wanted import Wanted
from pyg_irllrec.utils.optional import import_optional

_GROUP_ROWS = 10_000


class Calls(NamedTuple):
    r"""The settings for calls of a model, as in :class:`RetryingChat`."""

    concurrency: int
    max_retries: int
    backoff: float
    rpm: Optional[float]
    tpm: Optional[float]

    def chat(self, model: ChatModel, cancelled: threading.Event) -> RetryingChat:
        r"""Return the model with retries and rate limits."""
        return RetryingChat(model, *self, cancelled)


class Workers(NamedTuple):
    r"""The settings of the actors that call a model."""

    num_workers: int
    batch_size: int
    num_cpus: float
    num_gpus: float


def ask_on_ray(
    questions: Iterator[Question],
    entries: Journal,
    folder: Path,
    model: ChatModel,
    wanted: Wanted,
    calls: Calls,
    workers: Workers,
) -> Generator[Answer, None, None]:
    r"""Ask questions from actors of Ray Data. Yield each answer, in any order, after it
    is stored in the journal. Only this process writes to the journal.

    Args:
        questions (iterator of Question): The questions.
        entries (Journal): The journal that stores the answers.
        folder (Path): The temporary folder for the questions. All machines must be able
            to read it.
        model (ChatModel): The model, which is pickled.
        wanted (Wanted): The requirements for answers.
        calls (Calls): The settings for the calls of each actor.
        workers (Workers): The settings of the actors.

    Raises:
        ChatError: If the model will not answer any question.
    """
    data = import_optional('ray.data', 'IntentExtractor.on_ray', 'ray')
    shutil.rmtree(folder, ignore_errors=True)  # Left by a killed run.
    try:
        if not _write_questions(questions, folder):
            return
        for question, entry in _answers(folder, data, model, wanted, calls, workers):
            entries.write(question.key, entry)
            yield question, entry
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(
    folder: Path,
    data: Any,
    model: ChatModel,
    wanted: Wanted,
    calls: Calls,
    workers: Workers,
) -> Iterator[Answer]:
    # A task returns all of its answers at once, so keep tasks small.
    asked = data.read_parquet(str(folder)).repartition(
        target_num_rows_per_block=workers.batch_size
    )
    if isinstance(model, RayVLLM):
        return _read_texts(model.process(asked), wanted)
    answered = asked.map_batches(
        _Worker,
        fn_constructor_args=(model, wanted, calls),
        compute=data.ActorPoolStrategy(size=workers.num_workers),
        batch_size=workers.batch_size,
        num_cpus=workers.num_cpus,
        num_gpus=workers.num_gpus,
    )
    return _read_entries(answered)


def _write_questions(questions: Iterator[Question], folder: Path) -> bool:
    r"""Write questions to Parquet files. Return whether there are any questions."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            ('key', pa.string()),
            ('messages', pa.string()),
            ('num_texts', pa.int64()),
            ('again', pa.bool_()),
        ]
    )
    folder.mkdir(parents=True)
    rows = (
        {
            'key': question.key.hex(),
            'messages': json.dumps(question.conversation),
            'num_texts': question.num_texts,
            'again': question.again,
        }
        for question in questions
    )
    number = 0
    while group := list(islice(rows, _GROUP_ROWS)):
        table = pa.Table.from_pylist(group, schema)
        parquet.write_table(table, folder / f'part-{number:05d}.parquet')
        number += 1
    return number > 0


class _Worker:
    r"""An actor that asks from several threads. It returns an error that ends the run,
    because Ray would wrap a raised error."""

    def __init__(self, model: ChatModel, wanted: Wanted, calls: Calls) -> None:
        self._wanted = wanted
        self._chat = calls.chat(model, threading.Event())
        self._pool = ThreadPoolExecutor(2 * calls.concurrency)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        rows = [dict(zip(batch, row)) for row in zip(*batch.values())]
        entries = list(self._pool.map(self._ask, rows))
        return {
            **{name: list(batch[name]) for name in ('key', 'num_texts', 'again')},
            'entry': [pickle.dumps(entry) for entry in entries],
        }

    def _ask(self, row: dict[str, Any]) -> Union[JournalEntry, ChatError]:
        try:
            conversation = json.loads(row['messages'])
            question = _asked(row)._replace(conversation=conversation)
            return ask(self._chat, question, self._wanted)
        except ChatError as error:
            return error


def _asked(row: dict[str, Any]) -> Question:
    r"""Restore the question of a row, without its conversation."""
    key, num_texts = bytes.fromhex(row['key']), int(row['num_texts'])
    return Question(key, [], num_texts, bool(row['again']))


def _read_entries(answered: Any) -> Iterator[Answer]:
    for row in answered.iter_rows():
        entry = pickle.loads(row['entry'])
        if isinstance(entry, ChatError):
            raise entry
        yield _asked(row), entry


def _read_texts(answered: Any, wanted: Wanted) -> Iterator[Answer]:
    for row in answered.iter_rows():
        question = _asked(row)
        try:
            reply = RayVLLM.read(row)
        except ChatError as error:
            yield question, fail(error)
        else:
            yield question, judge(reply, question.num_texts, wanted)
