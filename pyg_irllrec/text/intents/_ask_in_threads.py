from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Optional, Union

from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents._question_maker import Question

_SHUTDOWN_SECONDS = 5.0  # To wait for pending answers when a run ends early.

Answer = tuple[Question, JournalEntry]


def ask_in_threads(
    ask: Callable[[Question], JournalEntry],
    questions: Iterator[Question],
    entries: Journal,
    num_threads: int,
    cancelled: threading.Event,
) -> Generator[Answer, None, None]:
    r"""Ask questions from several threads. Yield each answer, in any order, after it is
    stored in the journal. An error in a thread is raised by the generator.

    Args:
        ask (callable): A function that takes a question and returns its entry.
        questions (iterator of Question): The questions. Threads take them one by one.
        entries (Journal): The journal that stores the answers.
        num_threads (int): The number of threads.
        cancelled (threading.Event): The event that stops the threads.
    """
    # Each thread puts None when it ends.
    results: queue.SimpleQueue[Union[Answer, BaseException, None]] = queue.SimpleQueue()
    lock = threading.Lock()

    def take() -> Optional[Question]:
        with lock:
            return next(questions, None)

    def work() -> None:
        try:
            while not cancelled.is_set() and (question := take()) is not None:
                entry = ask(question)
                # Store it in this thread, so that no paid answer is lost.
                entries.write(question.key, entry)
                results.put((question, entry))
            results.put(None)
        except BaseException as error:  # The main thread raises it.
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
    r"""Wait for all threads, with one timeout for all of them."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
