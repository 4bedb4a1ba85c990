r"""The faults of :mod:`benchmarks.chaos`. Each yields the outcomes of many trials."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from benchmarks._chaos_disk import Plan
from benchmarks._chaos_lab import Lab, Outcome
from benchmarks._chaos_trial import Attempt, Place, look, start

PLENTY = 1 << 26
PAGE = 4096
BINARY = ('.ckpt', '.npz', '.sqlite', '.arrow', '.npy', '.jsonl')

Fault = Callable[[Lab], Iterator[Outcome]]


def killed_at_random(lab: Lab) -> Iterator[Outcome]:
    """SIGKILL at a random moment after the first change, up to three times in a row."""
    for _ in range(lab.trials):
        place, kills, wanted = lab.new_place(), 0, lab.random.choice((1, 1, 2, 3))
        broken = ''
        for _ in range(3 * wanted):
            after = lab.random.uniform(0, lab.seconds)
            attempt = start(lab.job, place).end(kill_after=after)
            if attempt.status == 'killed':
                kills += 1
                broken = broken or half(lab, place)
            elif attempt.status != 'done':
                broken = broken or attempt.note(place)
            if kills == wanted or broken:
                break
            if attempt.status == 'done':  # It ended before the kill: start over.
                lab.forget(place)
                place = lab.new_place()
        yield finish(lab, place, kills, broken)


def killed_before_each_change(lab: Lab) -> Iterator[Outcome]:
    """SIGKILL right before each open, write, fsync, rename, SQL statement and so on."""
    for at in lab.each_change():
        place = lab.new_place()
        attempt = start(lab.job, place, Plan('kill', at)).end()
        killed = attempt.status == 'killed'
        yield finish(lab, place, int(killed), half(lab, place) if killed else '')


def half(lab: Lab, place: Place) -> str:
    """Describe what a reader accepts although it is neither the earlier nor the new
    version. Only jobs that replace files have known versions."""
    if not any(lab.earlier):
        return ''
    for before, attempt in zip(lab.earlier, look(lab.job, place)):
        new = all(lab.parts[name] == value for name, value in attempt.parts.items())
        if attempt.status == 'done' and attempt.parts != before and not new:
            return f'{", ".join(attempt.parts)} of no version'
        if attempt.status != 'done' and not attempt.refuses(place):
            return attempt.note(place)
    return ''


def finish(lab: Lab, place: Place, kills: int, broken: str) -> Outcome:
    outcome = Outcome('WRONG', broken) if broken else lab.settle(place)
    lab.forget(place)
    return outcome._replace(kills=kills)


def full_at_each_change(lab: Lab) -> Iterator[Outcome]:
    """No space is left from a change on."""
    yield from fail_at_each_change(lab, 'full')


def read_only_at_each_change(lab: Lab) -> Iterator[Outcome]:
    """Nothing can be written from a change on."""
    yield from fail_at_each_change(lab, 'read-only')


def fail_at_each_change(lab: Lab, fault: str) -> Iterator[Outcome]:
    for at in lab.each_change():
        place = lab.new_place()
        attempt = start(lab.job, place, Plan(fault, at)).end()
        yield lab.judge(place, attempt, fault)
        lab.forget(place)


def limited_files(lab: Lab) -> Iterator[Outcome]:
    """No file can grow beyond a random size, even if it is written in C."""
    largest = max(path.stat().st_size for path in lab.finished.rglob('*'))
    for _ in range(lab.trials):
        place = lab.new_place()
        limit = int(largest ** lab.random.uniform(0, 1))
        attempt = start(lab.job, place, limit=limit).end()
        yield lab.judge(place, attempt, 'full')
        lab.forget(place)


def full_disk(lab: Lab) -> Iterator[Outcome]:
    """A file system with a few free pages."""
    used = sum(-(-path.stat().st_size // PAGE) for path in lab.finished.rglob('*'))
    for pages in lab.some(2 * used + 2):
        place = lab.new_place(mounted=PLENTY)
        stat = shutil.disk_usage(place.folder)
        lab.mounts.resize(place.folder, stat.used + (1 + pages) * PAGE)
        attempt = start(lab.job, place).end()
        lab.mounts.resize(place.folder, PLENTY)
        yield lab.judge(place, attempt, 'full')
        lab.forget(place, mounted=True)


def read_only_disk(lab: Lab) -> Iterator[Outcome]:
    """A read-only file system with nothing, part of a run, or a whole run."""
    for trial in range(lab.trials):
        place = lab.new_place(mounted=PLENTY)
        kills = 0
        if trial % 3:
            after = lab.random.uniform(0, lab.seconds) if trial % 3 == 1 else None
            kills = start(lab.job, place).end(after).status == 'killed'
        lab.mounts.lock(place.folder)
        read = look(lab.job, place)
        attempt = start(lab.job, place).end()
        lab.mounts.lock(place.folder, locked=False)
        outcome = lab.judge(place, attempt, 'read-only')
        if trial % 3 == 2 and any(each.status != 'done' for each in read):
            notes = [each.note(place) for each in read]
            outcome = Outcome('LOST', f'a whole run cannot be read: {notes}')
        yield outcome._replace(kills=int(kills))
        lab.forget(place, mounted=True)


def two_processes(lab: Lab) -> Iterator[Outcome]:
    """A second process starts while the first is stopped before a change. Every other
    trial starts the second without resuming."""
    for trial, at in enumerate(lab.some(len(lab.changes))):
        place = lab.new_place()
        one = start(lab.job, place, Plan('stop', at))
        stopped = one.stopped()
        two = start(lab.job, place, resume=trial % 2 == 0)
        two.ended_within(2.0 + 10 * lab.seconds)  # It may wait for the first.
        if stopped:
            one.proceed()
        first, second = one.end(), two.end()
        yield judge_two(lab, place, first, second)
        for path in place.folder.parent.glob(f'{place.folder.name}.*'):
            shutil.rmtree(path)
        lab.forget(place)


def judge_two(lab: Lab, place: Place, first: Attempt, second: Attempt) -> Outcome:
    """Judge two processes: the files must come from one of them, or be refused."""
    outcome = Outcome('equal')
    for name, attempt in (('first', first), ('second', second)):
        if attempt.status == 'done':
            continue
        # Allowed: a reader that refuses files of two versions, or a refused second run.
        clear = name == 'second' or 'does not match' in attempt.line
        verdict = 'refused' if clear and attempt.refuses(place) else 'UNCLEAR'
        outcome = Outcome(verdict, f'the {name}: {attempt.note(place)}')
        if verdict == 'UNCLEAR':
            return outcome
    for attempt in (first, second, *look(lab.job, place)):
        if attempt.status != 'done' and not attempt.refuses(place):
            return Outcome('UNCLEAR', attempt.note(place))
        for part, value in attempt.parts.items():
            if value not in (lab.parts[part], lab.other[part]):
                return Outcome('WRONG', f'{part} of no version')
    settled = lab.settle(place)
    return outcome if settled.verdict == 'equal' else settled


def torn(lab: Lab) -> Iterator[Outcome]:
    """A file of a finished run is cut at a random place."""
    yield from damaged(lab, ('',), lambda data, at: data[:at])


def flipped(lab: Lab) -> Iterator[Outcome]:
    """One bit of a binary file of a finished run is flipped."""

    def flip(data: bytes, at: int) -> bytes:
        bit = 1 << lab.random.randrange(8)
        return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]

    yield from damaged(lab, BINARY, flip)


def damaged(
    lab: Lab, endings: tuple[str, ...], change: Callable[[bytes, int], bytes]
) -> Iterator[Outcome]:
    names = [
        name
        for name in sorted(lab.files)
        if name.endswith(endings) and (lab.finished / name).is_file()
    ]
    for trial in range(lab.trials if names else 0):
        place = lab.new_place()
        shutil.rmtree(place.folder)
        shutil.copytree(lab.finished, place.folder)
        path = place.folder / names[trial % len(names)]
        data = path.read_bytes()
        path.write_bytes(change(data, lab.random.randrange(len(data))))
        attempts = [*look(lab.job, place), start(lab.job, place).end()]
        outcome = Outcome('equal')
        for attempt in attempts:
            if attempt.status != 'done':
                verdict = 'refused' if attempt.refuses(place) else 'UNCLEAR'
                outcome = Outcome(verdict, f'{path.name}: {attempt.note(place)}')
            elif not attempt.parts.items() <= lab.parts.items():
                wrong = [k for k, v in attempt.parts.items() if lab.parts[k] != v]
                outcome = Outcome('WRONG', f'{path.name}: {wrong} differ')
            if outcome.verdict in ('UNCLEAR', 'WRONG'):
                break
        yield outcome
        lab.forget(place)


def torn_tables(lab: Lab) -> Iterator[Outcome]:
    """An input table ends at a random place."""
    inputs = lab.place.inputs
    names = sorted(path.name for path in inputs.iterdir())
    for trial in range(lab.trials if names else 0):
        place = lab.new_place()
        place = place._replace(inputs=place.folder.with_name('torn'))
        shutil.copytree(inputs, place.inputs)
        path = place.inputs / names[trial % len(names)]
        data = path.read_bytes()
        cut = data[: lab.random.randrange(len(data))]
        path.write_bytes(cut)
        attempt = start(lab.job, place).end()
        if attempt.status == 'done':
            # The last line break may be missing, but no cell.
            header, last = data.split(b'\n')[0], cut.split(b'\n')[-1]
            whole = last == b'' or last.count(b',') == header.count(b',')
            outcome = Outcome('equal' if whole else 'WRONG', f'{path.name}: {last!r}')
        else:
            clear = attempt.refuses(place) and path.name in attempt.line
            outcome = Outcome('refused' if clear else 'UNCLEAR', attempt.note(place))
        yield outcome
        shutil.rmtree(place.inputs)
        lab.forget(place)


FAULTS: dict[str, Fault] = {
    'killed at random': killed_at_random,
    'killed before each change': killed_before_each_change,
    'full from each change on': full_at_each_change,
    'files cannot grow': limited_files,
    'full disk': full_disk,
    'read-only from each change on': read_only_at_each_change,
    'read-only disk': read_only_disk,
    'two processes': two_processes,
    'torn file': torn,
    'flipped bit': flipped,
    'torn table': torn_tables,
}
MOUNTED = (full_disk, read_only_disk)
