r"""One run of a job of :mod:`benchmarks.chaos` in its own process, which ends normally,
by a fault or by SIGKILL. Processes are forked from this one. It has imported everything
and computed nothing, so that forking is safe and takes milliseconds."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks._chaos_disk import Change, Plan, Watch, limit_files
from benchmarks._chaos_jobs import CommandError, Job, Parts
from pyg_irllrec.text import ChatError

NOTHING = Plan()
_MOST_SECONDS = 60.0

_CAUSES = {
    'full': ('no space left', 'file too large', 'disk is full', 'disk i/o error'),
    'read-only': ('read-only', 'readonly', 'unable to open database file'),
}


class Place(NamedTuple):
    inputs: Path
    folder: Path


class Attempt(NamedTuple):
    """The end of a process."""

    status: str
    """done, failed, killed or hung."""
    parts: Parts
    """The digests of its results, if it is done."""
    error: str
    """The class of its error."""
    line: str
    """The message of its error."""
    changes: list[Change]
    seconds: float
    """The seconds from its first change to its end."""

    def refuses(self, place: Place, fault: str = '') -> bool:
        """Whether it failed with one line that names a file and, for a disk fault, the
        cause."""
        line = self.line.removesuffix('\n')
        if self.error == 'CommandError':
            if not line.startswith('2 error: '):
                return False
        elif self.error not in ('OSError', 'ValueError', 'ChatError'):
            return False
        named = str(place.folder) in line or str(place.inputs) in line
        causes = _CAUSES.get(fault, ('',))
        caused = any(cause in line.lower() for cause in causes)
        return self.status == 'failed' and '\n' not in line and named and caused

    def note(self, place: Place) -> str:
        text = f'{self.error}: {self.line}' if self.status == 'failed' else self.status
        for path, name in ((place.folder, 'DIR'), (place.inputs, 'INPUTS')):
            text = text.replace(str(path), name)
        return ' '.join(text.split())[:300]


class Process:
    """A running job."""

    def __init__(self, work: Callable[[], Parts], folder: Path, plan: Plan) -> None:
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            _work(work, folder, plan, write)
        os.close(write)
        self._pipe = os.fdopen(read, 'rb')
        self._begun = 0.0

    def end(self, kill_after: float | None = None) -> Attempt:
        """Wait for the end, or kill the process some seconds after its first change."""
        deadline = time.monotonic() + _MOST_SECONDS
        content = b''
        status = 'done'
        while True:
            limit = deadline
            if self._begun and kill_after is not None:
                limit = min(limit, self._begun + kill_after)
            wait = max(0.0, limit - time.monotonic())
            if not select.select([self._pipe], [], [], wait)[0]:
                os.kill(self.pid, signal.SIGKILL)
                status = 'killed' if limit < deadline else 'hung'
                deadline += _MOST_SECONDS
                self._begun = 0.0
                continue
            piece = os.read(self._pipe.fileno(), 1 << 16)
            if not piece:
                break
            if not self._begun and status == 'done':
                self._begun = time.monotonic()
            content += piece
        self._pipe.close()
        _, code = os.waitpid(self.pid, 0)
        if os.waitstatus_to_exitcode(code) != 0:
            status = 'killed' if status == 'done' else status
            return Attempt(status, {}, '', '', [], 0.0)
        report = json.loads(content.lstrip(b'.'))
        changes = [Change(*each) for each in report.pop('changes')]
        return Attempt(changes=changes, **report)

    def stopped(self) -> bool:
        """Wait until the process stops itself. Return False if it has ended."""
        info = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return info is not None and info.si_code == os.CLD_STOPPED

    def ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, self.pid, options) is not None:
                return True
            time.sleep(0.01)
        return False

    def proceed(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def start(
    job: Job, place: Place, plan: Plan = NOTHING, resume: bool = True, limit: int = -1
) -> Process:
    """Start a job as a user would, or start it again with :obj:`resume`."""

    def work() -> Parts:
        if limit >= 0:
            limit_files(limit)
        job.run(place.inputs, place.folder, resume)
        return job.read(place.folder)

    return Process(work, place.folder, plan)


def look(job: Job, place: Place) -> list[Attempt]:
    """Run each reader of a job on the files of a place, in its own process."""
    works = [partial(reader, place.folder) for reader in job.readers]
    return [Process(work, place.folder, NOTHING).end() for work in works]


def _work(work: Callable[[], Parts], folder: Path, plan: Plan, pipe: int) -> None:
    """Run in a forked process. Never returns."""
    status = 1
    try:
        torch.set_num_threads(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        write = os.write
        begun = time.monotonic()

        def first() -> None:
            nonlocal begun
            begun = time.monotonic()
            write(pipe, b'.')

        watch = Watch(folder, plan, first)
        report: dict[str, Any] = {'parts': {}, 'error': '', 'line': ''}
        try:
            report |= {'status': 'done', 'parts': work()}
        except BaseException as error:
            report |= {'status': 'failed', 'error': _kind(error), 'line': _line(error)}
        report |= {'seconds': time.monotonic() - begun, 'changes': watch.changes}
        content = json.dumps(report).encode()
        while content:
            content = content[write(pipe, content) :]
        status = 0
    finally:
        os._exit(status)


def _kind(error: BaseException) -> str:
    for kind in (OSError, ChatError, CommandError):
        if isinstance(error, kind):
            return kind.__name__
    return type(error).__name__


def _line(error: BaseException) -> str:
    if isinstance(error, (OSError, ValueError, ChatError, CommandError)):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f'{error} ({Path(frame.filename).name}:{frame.lineno})'
