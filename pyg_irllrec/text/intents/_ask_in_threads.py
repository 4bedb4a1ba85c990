from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Optional, Union

from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents._question_maker import Question

_SHUTDOWN_SECONDS = 5.0  # For answers that are on their way when a run ends early.

Answer = tuple[Question, JournalEntry]


def ask_in_threads(
    ask: Callable[[Question], JournalEntry],
    questions: Iterator[Question],
    entries: Journal,
    num_threads: int,
    cancelled: threading.Event,
) -> Generator[Answer, None, None]:
    r"""Ask from several threads, and yields what is in the journal by then, in any
    order. Errors of a thread are raised here.

    Args:
        ask (callable): Answers a question.
        questions (iterator of Question): The questions, which threads take one by one.
        entries (Journal): Where answers are stored.
        num_threads (int): The number of threads.
        cancelled (threading.Event): Ends the threads.
    """
    # None for a thread that has ended.
    results: queue.SimpleQueue[Union[Answer, BaseException, None]] = queue.SimpleQueue()
    lock = threading.Lock()

    def take() -> Optional[Question]:
        with lock:
            return next(questions, None)

    def work() -> None:
        try:
            while not cancelled.is_set() and (question := take()) is not None:
                entry = ask(question)
                # In this thread, so that no paid answer is lost.
                entries.write(question.key, entry)
                results.put((question, entry))
            results.put(None)
        except BaseException as error:  # Raised by the main thread.
            results.put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(num_threads)]
    for thread in threads:
        thread.start()
    running = num_threads
    try:
        while running > 0:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        cancelled.set()
        _join(threads, _SHUTDOWN_SECONDS)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    r"""Wait for threads, at most so long for all together."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
