r"""The folders and inputs of the trials of :mod:`benchmarks.chaos`, and their
verdicts."""

from __future__ import annotations

import random
import shutil
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks._chaos_disk import Mounts
from benchmarks._chaos_jobs import Job
from benchmarks._chaos_trial import Attempt, Place, look, start

VERDICTS = ('equal', 'refused', 'UNCLEAR', 'LOST', 'WRONG')


class Outcome(NamedTuple):
    verdict: str
    note: str = ''
    kills: int = 0
    leftovers: int = 0
    """The number of files that an undisturbed run does not leave."""


class Lab:
    """The trials of one job, and the results of its undisturbed runs."""

    def __init__(
        self,
        job: Job,
        root: Path,
        trials: int,
        seed: int,
        mounts: Mounts,
        every: bool = False,
    ) -> None:
        self.job = job
        self.root = root / job.name
        self.trials = trials
        self.random = random.Random(f'{seed} {job.name}')
        self.mounts = mounts
        self.every = every
        self._count = 0
        inputs = self.root / 'inputs'
        inputs.mkdir(parents=True)
        job.prepare(inputs)
        self.place = Place(inputs, inputs)
        place = self.new_place()
        self.earlier = [attempt.parts for attempt in look(job, place)]
        calm = self.undisturbed(place)
        self.parts, self.changes = calm.parts, calm.changes
        self.files = files_of(place.folder)
        self.finished = place.folder
        # The first run may load modules and files. Time two further runs.
        again = [self.undisturbed(self.new_place()) for _ in range(2)]
        self.seconds = min(attempt.seconds for attempt in again)
        self.other = self.undisturbed(self.new_place(), resume=False).parts

    def undisturbed(self, place: Place, resume: bool = True) -> Attempt:
        attempt = start(self.job, place, resume=resume).end()
        if attempt.status != 'done':
            raise RuntimeError(
                f'{self.job.name} fails without a fault: {attempt.note(place)}'
            )
        return attempt

    def new_place(self, mounted: int = 0) -> Place:
        self._count += 1
        folder = self.root / str(self._count)
        folder.mkdir()
        if mounted:
            self.mounts.add(folder, mounted)
        place = self.place._replace(folder=folder)
        self.job.begin(place.inputs, folder)
        return place

    def forget(self, place: Place, mounted: bool = False) -> None:
        if mounted:
            self.mounts.remove(place.folder)
        shutil.rmtree(place.folder)

    def settle(self, place: Place, attempt: Attempt | None = None) -> Outcome:
        """Run the job again after a disturbed attempt, and judge the result."""
        if attempt is not None and attempt.status == 'done':
            if changed := self.differences(attempt):
                return Outcome('WRONG', f'{changed} in the disturbed run')
        again = start(self.job, place).end()
        if again.status != 'done':
            return Outcome('LOST', again.note(place))
        if changed := self.differences(again):
            return Outcome('WRONG', changed)
        left = len(files_of(place.folder) - self.files)
        return Outcome('equal', leftovers=left)

    def judge(self, place: Place, attempt: Attempt, fault: str = '') -> Outcome:
        """Judge an attempt with a disk fault, after the fault is over."""
        outcome = self.settle(place, attempt)
        if outcome.verdict != 'equal' or attempt.status == 'done':
            return outcome
        clear = attempt.refuses(place, fault)
        verdict = 'refused' if clear else 'UNCLEAR'
        return outcome._replace(verdict=verdict, note=attempt.note(place))

    def differences(self, attempt: Attempt) -> str:
        names = [k for k, v in self.parts.items() if attempt.parts.get(k) != v]
        return f'{", ".join(names)} differ' if names else ''

    def each_change(self) -> list[int]:
        """The numbers of all changes, or of a sample of them."""
        number = len(self.changes)
        return list(range(number)) if self.every else self.some(number)

    def some(self, number: int) -> list[int]:
        """All numbers below :obj:`number`, or one random number from each of as many
        equal parts as there are trials."""
        trials = min(number, self.trials)
        ends = [k * number // trials for k in range(trials + 1)]
        return [self.random.randrange(*part) for part in pairwise(ends)]


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}
