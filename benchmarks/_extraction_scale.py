"""Measure intent extraction from Parquet shards with a model that answers at once:
answers per second, memory, and losses when the process is killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.chat_server import completion
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.evidence_shards import EvidenceShards, save_evidence
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.prompt import read_evidence

KILLED_AT = (0.1, 0.4, 0.7)  # Shares of the answers that are stored.
BYTES_PER_ENTRY = 148
THREADS = 2
POLL_SECONDS = 0.1


class Stub:
    """A model whose only intent is named after the first text."""

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        return [answer(c[1]['content']) for c in conversations]

    def describe(self) -> dict[str, Any]:
        return {'model': 'stub'}


def answer(message: str) -> str:
    name = read_evidence(message)[0][:60]
    intent = {'name': name, 'reason': 'it is in the text', 'evidence': [1]}
    return json.dumps({'intents': [intent]})


def measure(folder: Path, nodes: int) -> list[dict[str, Any]]:
    """The rows of one number of nodes."""
    folder.mkdir()
    shards = folder / 'shards'
    written = run(write_shards, shards, nodes)
    row = {'case': 'shards', 'nodes': nodes, **written.report(nodes)}
    return [row, killed(folder, nodes), batch(folder, nodes)]


def killed(folder: Path, nodes: int) -> dict[str, Any]:
    """Measure a run that is killed three times and started again each time."""
    out = folder / 'intents.jsonl'
    journal = out.with_suffix('.sqlite')
    total, stored = Usage(), []
    for share in KILLED_AT:
        size = share * nodes * BYTES_PER_ENTRY
        total += run(
            extract, folder / 'shards', out, kill=partial(exceeds, journal, size)
        )
        stored.append(count_rows(journal))
        if out.exists():
            break
    total += run(extract, folder / 'shards', out)
    counts = json.loads(out.with_suffix('.manifest.json').read_text())['counts']
    wrong = sum(1 for _ in wrong_records(out, nodes))
    return {
        'case': 'killed',
        'nodes': nodes,
        'stored_at_kills': stored,
        'calls': counts['calls'],
        'recorded_and_asked_again': counts['calls'] - nodes,
        'journal_mb': megabytes(journal),
        'file_mb': megabytes(out),
        **total.report(nodes),
        'wrong': wrong + nodes - counts['ok'] + counts['calls'] - nodes,
    }


def batch(folder: Path, nodes: int) -> dict[str, Any]:
    """Measure writing batch files and reading their answers, in reverse order."""
    out = folder / 'batch.jsonl'
    requests = folder / 'requests.jsonl'
    written = run(write_batch, folder / 'shards', out, requests)
    paths = sorted(folder.glob('requests-*.jsonl'))
    size = sum(map(megabytes, paths))
    answers = []
    for path in reversed(paths):
        answers.append(path.with_name(f'answers-{path.name}'))
        answer_batch(path, answers[-1])
        path.unlink()
    read = run(read_batch, folder / 'shards', out, answers)
    counts = json.loads(out.with_suffix('.manifest.json').read_text())['counts']
    return {
        'case': 'batch',
        'nodes': nodes,
        'files': len(paths),
        'requests_mb': size,
        'write': written.report(nodes),
        'read': read.report(nodes),
        'wrong': sum(1 for _ in wrong_records(out, nodes)) + nodes - counts['ok'],
    }


@dataclass
class Usage:
    """The time and memory of consecutive processes, without their imports."""

    seconds: float = 0.0
    cpu: float = 0.0
    start: float = 0.0
    peak: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            max(self.start, other.start),
            max(self.peak, other.peak),
        )

    def report(self, nodes: int) -> dict[str, float]:
        return {
            'seconds': round(self.seconds, 1),
            'cpu_seconds': round(self.cpu, 1),
            'nodes_per_second': round(nodes / self.seconds),
            'nodes_per_cpu_second': round(nodes / self.cpu),
            'mb_after_imports': round(self.start),
            'peak_mb': round(self.peak),
        }


def run(work: Any, *arguments: Any, kill: Callable[[], bool] = lambda: False) -> Usage:
    """Run a function in its own process, and kill it if :obj:`kill` returns true."""
    context = get_context('spawn')
    ready, imports = context.Event(), context.Value('d')
    child = context.Process(target=start, args=(ready, imports, work, *arguments))
    before = children_cpu()
    child.start()
    ready.wait()
    begin, usage = time.perf_counter(), Usage(start=memory(child, 'VmRSS'))
    while child.is_alive():
        usage.peak = max(usage.peak, memory(child, 'VmHWM'))
        if kill():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            break
        time.sleep(POLL_SECONDS)
    child.join()
    if child.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f'{work.__name__} failed')
    usage.seconds = time.perf_counter() - begin
    usage.cpu = children_cpu() - before - imports.value
    return usage


def start(ready: Any, imports: Any, work: Any, *arguments: Any) -> None:
    imports.value = time.process_time()
    ready.set()
    work(*arguments)


def write_shards(shards: Path, nodes: int) -> None:
    save_evidence(shards, evidence(nodes))


def extract(shards: Path, out: Path) -> None:
    extractor = IntentExtractor(Stub(), concurrency=THREADS // 2, progress=False)
    extractor(EvidenceShards(shards), out)


def write_batch(shards: Path, out: Path, requests: Path) -> None:
    extractor = IntentExtractor(OpenAIChat('small'), progress=False)
    extractor.write_batch(EvidenceShards(shards), out, requests)


def read_batch(shards: Path, out: Path, answers: list[Path]) -> None:
    extractor = IntentExtractor(OpenAIChat('small'), progress=False)
    extractor.read_batch(EvidenceShards(shards), out, answers)


def answer_batch(requests: Path, answers: Path) -> None:
    """Answer a batch file as a provider would."""
    with requests.open() as file, answers.open('w') as out:
        for line in file:
            request = json.loads(line)
            text = answer(request['body']['messages'][1]['content'])
            response = {'status_code': 200, 'body': completion(text)}
            found = {'custom_id': request['custom_id'], 'response': response}
            out.write(json.dumps(found) + '\n')


def evidence(nodes: int) -> Iterator[Evidence]:
    for k in range(nodes):
        name = f'user text {k}'
        texts = (name, *(f'a film of {k % 97} that user {k} has seen',) * 2)
        yield Evidence('user', k, texts, tuple(('item', n) for n in range(3)))


def wrong_records(out: Path, nodes: int) -> Iterator[int]:
    """The nodes whose record is wrong or missing."""
    seen = 0
    with out.open() as file:
        for k, line in enumerate(file):
            record = json.loads(line)
            names = [intent['name'] for intent in record['intents']]
            if (record['id'], names) != (k, [f'user text {k}']):
                yield k
            seen += 1
    yield from range(seen, nodes)


def count_rows(journal: Path) -> int:
    with closing(sqlite3.connect(journal, timeout=60)) as db:
        try:
            return int(db.execute('SELECT count(*) FROM outcomes').fetchone()[0])
        except sqlite3.OperationalError:  # Killed before it created the table.
            return 0


def exceeds(path: Path, size: float) -> bool:
    return path.is_file() and path.stat().st_size > size


def megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)


def memory(child: BaseProcess, name: str) -> float:
    try:
        lines = Path(f'/proc/{child.pid}/status').read_text().splitlines()
    except OSError:
        return 0.0
    found = [line for line in lines if line.startswith(name)]  # Empty for a zombie.
    return int(found[0].split()[1]) / 1024 if found else 0.0


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
