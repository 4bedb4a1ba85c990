"""Functions for child processes that are killed. The processes fork from a server that
imported torch once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from pyg_irllrec.text import CachedEncoder, IntentExtractor, OpenAIChat
from tests.text.chat_data import some_evidence
from tests.text.hash_encoder import HashEncoder

KEY = 'sk-of-this-test-0123456789'


def start(function: Callable[..., None], *arguments: object) -> BaseProcess:
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__, 'openai', 'pydantic'])
    process = context.Process(target=function, args=arguments)
    process.start()
    return process


def extract_intents(url: str, path: Path, num_nodes: int, errors: Path) -> None:
    """Extract intents. The exit code is 3 if a node failed."""
    # The signal is ignored if the tests run in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    os.environ |= {'OPENAI_API_KEY': KEY, 'NO_PROXY': '127.0.0.1'}
    # A long timeout: on a busy machine, late answers would be asked again.
    extract = IntentExtractor(
        OpenAIChat('small', url, timeout=3),
        concurrency=4,
        backoff=0.01,
        progress=False,
    )
    manifest = extract(some_evidence(num_nodes), path)
    sys.exit(3 if manifest['counts']['failed'] else 0)


class SlowEncoder(HashEncoder):
    """Send the size of each batch before it is encoded."""

    def __init__(self, seconds: float, pipe: Connection) -> None:
        super().__init__()
        self.seconds = seconds
        self.pipe = pipe

    def __call__(self, texts: Sequence[str]) -> Any:
        time.sleep(self.seconds)
        self.pipe.send(len(texts))
        return super().__call__(texts)


def encode_texts(path: Path, number: int, seconds: float, pipe: Connection) -> None:
    texts = [f'text {row}' for row in range(number)]
    encoder = SlowEncoder(seconds, pipe)
    vectors = CachedEncoder(encoder, path, batch_size=4, progress=False)(texts)
    np.testing.assert_array_equal(vectors, encoder.expected(texts))
