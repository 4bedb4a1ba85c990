r"""Measure the speed and crash safety of intent extraction from a local server.

    python -m benchmarks.extraction --json FILE
    python -m benchmarks.extraction --what chaos --nodes 500
    python -m benchmarks.extraction --what scale --json FILE

speed: a server in its own process takes 50 ms per answer, so that no client can get
more than concurrency / latency answers per second. For comparison, the same number of
threads call OpenAIChat in a loop and do nothing else.

chaos: extraction for 2 000 nodes. 10 % of the calls fail, 5 % return broken JSON, and
1 % hang. The run is killed ten times at random moments and started again until no node
has failed. Its file is then compared byte by byte with that of an undisturbed run.

scale: extraction for 10^5 and 10^6 nodes from Parquet shards, with a model that answers
at once: a run that is killed three times, and batch files. Measures nodes per second
and peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import _extraction_scale, harness
from benchmarks.chat_server import ChatServer, completion, question
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import load_intents
from pyg_irllrec.text.intents.prompt import Prompt

LATENCY = 0.05
CONCURRENCY = (8, 16, 32)
SECONDS = 4
CHAOS = {'failing': 0.1, 'broken': 0.05, 'hanging': 0.01}
CHAOS_NODES = (2000,)
CHAOS_THREADS = 16
SCALE_NODES = (10**5, 10**6)
KILLS = 10


def main() -> int:
    args = parse_args()
    os.environ |= {'OPENAI_API_KEY': 'none', 'NO_PROXY': '127.0.0.1'}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        if args.what in (None, 'speed'):
            rows += [speed(Path(folder), threads) for threads in CONCURRENCY]
        if args.what in (None, 'chaos'):
            rows.append(chaos(Path(folder), (args.nodes or CHAOS_NODES)[0]))
        if args.what == 'scale':
            for nodes in args.nodes or SCALE_NODES:
                rows += _extraction_scale.measure(Path(folder) / str(nodes), nodes)
                write(args, rows)  # The next size takes ten times as long.
    for row in rows:
        print(json.dumps(row))
    write(args, rows)
    return int(any(row.get('wrong', 0) for row in rows))


def write(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    if args.json is not None:
        name = 'extraction_scale' if args.what == 'scale' else 'extraction'
        harness.write(args.json, name, rows)


def speed(folder: Path, threads: int) -> dict[str, Any]:
    """The answers per second, compared with the upper bound."""
    bound = threads / LATENCY
    count = int(bound * SECONDS)
    context = get_context('spawn')
    ours, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    model = OpenAIChat('small', ours.recv())
    extract = IntentExtractor(model, concurrency=threads, progress=False)
    extract(some_evidence(threads, 'item'), folder / 'warm.jsonl')
    out = folder / f'speed-{threads}.jsonl'
    start, cpu = time.perf_counter(), time.process_time()
    counts = extract(some_evidence(count), out)['counts']
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    bare = bare_speed(model, threads, count)
    server.terminate()
    return {
        'case': 'speed',
        'concurrency': threads,
        'nodes': count,
        'answers_per_second': round(count / seconds, 1),
        'bound': bound,
        'share': round(count / seconds / bound, 3),
        'bare_client_share': round(bare / bound, 3),
        'cpu_ms_per_answer': round(1000 * cpu / count, 2),
        'wrong': count - counts['ok'],
    }


def bare_speed(model: OpenAIChat, threads: int, count: int) -> float:
    """The answers per second of threads that only send requests."""
    question = Prompt.packaged('user').messages(some_evidence(1)[0].texts, 5)
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        for _ in pool.map(lambda _: model([question]), range(count)):
            pass
        return count / (time.perf_counter() - start)


def serve(pipe: Connection) -> None:
    """A server with almost no work, so that the client is the bottleneck."""
    intent = {'name': 'calm', 'reason': 'likes quiet', 'evidence': [1, 2]}
    body = json.dumps(completion(json.dumps({'intents': [intent]}))).encode()
    head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: '
    answer = f'{head}{len(body)}\r\n\r\n'.encode() + body

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while head := await reader.readuntil(b'\r\n\r\n'):
            size = head.lower().partition(b'content-length:')[2].split()[0]
            await reader.readexactly(int(size))
            await asyncio.sleep(LATENCY)
            writer.write(answer)

    async def main() -> None:
        server = await asyncio.start_server(handle, '127.0.0.1', 0)
        pipe.send(f'http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1')
        await server.serve_forever()

    asyncio.run(main())


def chaos(folder: Path, nodes: int) -> dict[str, Any]:
    """Kill a run again and again, and count what is lost."""
    context = get_context('forkserver')
    context.set_forkserver_preload(
        ['pyg_irllrec.text.intents.intent_extractor', 'openai']
    )
    chance = random.Random(0)
    calm, out = folder / 'calm.jsonl', folder / 'chaos.jsonl'
    with ChatServer() as server:
        work(server.url, calm, nodes)
    journal = out.with_suffix('.sqlite')
    kept, runs, start = [], 0, time.perf_counter()
    with ChatServer(latency=0.02, hang=20, **CHAOS) as server:
        for _ in range(KILLS):
            seen = len(server.requests)
            child = context.Process(target=work, args=(server.url, out, nodes))
            child.start()
            while len(server.requests) == seen:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 1.0) * nodes / 2000)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            assert child.exitcode == -signal.SIGKILL and not out.exists()
            kept.append((recorded(journal), len(server.requests)))
        while runs == 0 or load_intents(out).manifest['counts']['failed']:
            runs += 1
            child = context.Process(target=work, args=(server.url, out, nodes))
            child.start()
            child.join()
    seconds = time.perf_counter() - start
    again = set()
    for known, count in kept:
        # Requests in flight when the process died still arrive.
        again |= known & set(map(question, server.requests[count + CHAOS_THREADS :]))
    counts = load_intents(out).manifest['counts']
    same = out.read_bytes() == calm.read_bytes()
    lost = max(len(a - b) for (a, _), (b, _) in pairwise(kept))
    return {
        'case': 'chaos',
        'nodes': nodes,
        'ok': counts['ok'],
        'kills': KILLS,
        'answered_at_kills': [len(known) for known, _ in kept],
        'further_runs': runs,
        'requests': len(server.requests),
        'records_lost': lost,
        'recorded_and_asked_again': len(again),
        'answers_lost_on_their_way': len(server.answered) - len(set(server.answered)),
        'same_bytes': same,
        'seconds': round(seconds, 1),
        'wrong': int(not same) + lost + len(again) + nodes - counts['ok'],
    }


def work(url: str, out: Path, nodes: int) -> None:
    os.environ |= {'OPENAI_API_KEY': 'none', 'NO_PROXY': '127.0.0.1'}
    IntentExtractor(
        OpenAIChat('small', url, timeout=1),
        concurrency=CHAOS_THREADS,
        backoff=0.05,
        progress=False,
    )(some_evidence(nodes), out)


def some_evidence(count: int, side: str = 'user') -> list[Evidence]:
    return [
        Evidence(side, k, (f'{side} text {k}', f'more {k}'), ((side, k), (side, k)))
        for k in range(count)
    ]


def recorded(journal: Path) -> set[str]:
    """The names of the intents in a journal."""
    if not journal.is_file():
        return set()
    db = sqlite3.connect(journal, timeout=60)
    try:
        rows = db.execute('SELECT content FROM outcomes').fetchall()
    except sqlite3.OperationalError:  # Killed before it created the table.
        rows = []
    finally:
        db.close()
    return {intent[0] for (row,) in rows for intent in json.loads(row)}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--what',
        choices=('speed', 'chaos', 'scale'),
        help='the part to run (default: speed and chaos)',
    )
    parser.add_argument(
        '--nodes', type=int, nargs='+', help='numbers of nodes, for chaos and scale'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
