r"""Measure requests per second and latencies of the service under load.

    python -m benchmarks.serving_load --json FILE

Saves an untrained bundle of generated data, built by `build_model` with its defaults.
One process serves it on 127.0.0.1, as `pyg-irllrec serve` does. Another process runs 1,
8 and 32 clients, which send their next request when the last answer has arrived, over
one connection each. /recommend requests 20 items for a user; /steer also raises one
intent and mutes another. In the last part, the bundle is replaced and reloaded during
the load. Every answer is checked; a lost one is an error. Takes two minutes on two
cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Optional

import numpy as np

from benchmarks import harness

K = 20
MAX_REQUESTS = 100_000
RELOADS = 3
SERVE = """
import sys
from pyg_irllrec.serving.http import serve
serve(sys.argv[1], port=0, reload_seconds=0.2)
"""

Row = dict[str, Any]


def main() -> int:
    args = parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder) / 'bundle', args)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'serving_load', rows)
    lost = sum(row['errors'] for row in rows)
    if lost:
        print(f'error: {lost} requests were lost', file=sys.stderr)
    return 1 if lost else 0


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument('--items', type=int, default=10_000)
    out.add_argument('--users', type=int, default=10_000)
    out.add_argument('--clients', type=int, nargs='+', default=[1, 8, 32])
    out.add_argument('--seconds', type=float, default=10.0, help='duration per part')
    out.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    return out


def measure(folder: Path, args: argparse.Namespace) -> list[Row]:
    # Its own process, so that its memory is free before the measurement.
    context = get_context('spawn')
    maker = context.Process(target=make_bundle, args=(folder, args.users, args.items))
    maker.start()
    maker.join()
    if maker.exitcode != 0:
        raise SystemExit('error: the bundle could not be built')
    server = subprocess.Popen(
        [sys.executable, '-c', SERVE, str(folder)], stderr=subprocess.PIPE, text=True
    )
    try:
        port = read_port(server)
        names = [
            intent['name'] for intent in ask(port, '/steer', {'user': 0})['intents']
        ]
        rows = []
        for kind in ('recommend', 'steer'):
            bodies = make_bodies(kind, names, args.users)
            for clients in args.clients:
                rows.append(run_part(kind, clients, port, bodies, args.seconds))
        bodies = make_bodies('recommend', names, args.users)
        rows.append(
            run_part('recommend', args.clients[-1], port, bodies, args.seconds, folder)
        )
    finally:
        server.terminate()
        _, rest = server.communicate(timeout=60)
        print(rest, end='', file=sys.stderr)
    if server.returncode != 0:
        raise SystemExit(f'error: the service exited with {server.returncode}')
    return rows


def make_bundle(folder: Path, users: int, items: int) -> None:
    from benchmarks._serving_data import embedded_data
    from pyg_irllrec import build_model
    from pyg_irllrec.serving import Bundle

    data, encoder = embedded_data(users, items)
    Bundle(build_model(data), data, encoder=encoder).save(folder)


def read_port(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r'http://127\.0\.0\.1:(\d+)', line):
            return int(found[1])
        print(line, end='', file=sys.stderr)
    raise SystemExit('error: the service did not start')


def ask(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f'http://127.0.0.1:{port}{path}',
        json.dumps(body).encode(),
        {'content-type': 'application/json'},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def make_bodies(kind: str, names: list[str], num_users: int) -> list[bytes]:
    """One request per user, in random order."""
    rng = np.random.default_rng(0)
    users = rng.permutation(num_users).tolist()
    if kind == 'recommend':
        return [json.dumps({'users': [user], 'k': K}).encode() for user in users]
    bodies = []
    for user in users:
        first, second = rng.choice(len(names), 2, replace=False)
        intents = {names[first]: 1.0, names[second]: -0.5}
        bodies.append(json.dumps({'user': user, 'k': K, 'intents': intents}).encode())
    return bodies


def run_part(
    kind: str,
    clients: int,
    port: int,
    bodies: list[bytes],
    seconds: float,
    folder: Optional[Path] = None,
) -> Row:
    """Run one part of the load in a client process. With a folder, replace its bundle
    meanwhile."""
    print(f'{kind}, {clients} clients ...', file=sys.stderr, flush=True)
    context = get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(
        target=play_clients, args=(there, kind, clients, port, bodies, seconds)
    )
    process.start()
    there.close()
    before = health(port)['reloads']
    if folder is not None:
        touch(folder, seconds)
    row: Row = here.recv()
    process.join()
    return row | {'reloads': health(port)['reloads'] - before}


def touch(folder: Path, seconds: float) -> None:
    """Replace bundle.json, as the last step of saving does, by the same content in
    another layout, which counts as a new version."""
    manifest = folder / 'bundle.json'
    content = json.loads(manifest.read_text())
    for indent in range(RELOADS):
        time.sleep(seconds / (RELOADS + 1))
        part = folder / '.bundle.json.tmp'
        part.write_text(json.dumps(content, indent=indent + 1))
        part.replace(manifest)


def health(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/health') as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def play_clients(
    connection: Any,
    kind: str,
    clients: int,
    port: int,
    bodies: list[bytes],
    seconds: float,
) -> None:
    connection.send(asyncio.run(play(kind, clients, port, bodies, seconds)))


async def play(
    kind: str, clients: int, port: int, bodies: list[bytes], seconds: float
) -> Row:
    heads = (
        f'POST /{kind} HTTP/1.1\r\nHost: localhost\r\n'
        'Content-Type: application/json\r\nContent-Length: '
    ).encode()
    queue = iter(bodies * (MAX_REQUESTS // len(bodies) + 1))
    times: list[float] = []
    errors = 0

    async def client(until: float) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection('127.0.0.1', port)
        while time.perf_counter() < until and len(times) < MAX_REQUESTS:
            body = next(queue)
            start = time.perf_counter()
            try:
                writer.write(heads + f'{len(body)}\r\n\r\n'.encode() + body)
                head = await reader.readuntil(b'\r\n\r\n')
                length = re.search(rb'content-length: (\d+)', head)
                answer = await reader.readexactly(int(length[1]) if length else 0)
            except (OSError, asyncio.IncompleteReadError):
                errors += 1
                reader, writer = await asyncio.open_connection('127.0.0.1', port)
                continue
            times.append(time.perf_counter() - start)
            errors += not (head.startswith(b'HTTP/1.1 200') and complete(kind, answer))
        writer.close()

    # Warm up, so that what the service builds on first use does not count.
    await asyncio.gather(*(client(time.perf_counter() + 1) for _ in range(clients)))
    times.clear()
    start = time.perf_counter()
    await asyncio.gather(*(client(start + seconds) for _ in range(clients)))
    wall = time.perf_counter() - start
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return {
        'request': kind,
        'clients': clients,
        'requests': len(times),
        'per_second': len(times) / wall,
        'p50_ms': p50 * 1e3,
        'p99_ms': p99 * 1e3,
        'errors': errors,
    }


def complete(kind: str, answer: bytes) -> bool:
    found = json.loads(answer)
    lists = [found] if kind == 'steer' else found['recommendations']
    return all(len(each['items']) == K for each in lists)


def table(rows: list[Row]) -> str:
    """A Markdown table."""
    lines = [
        '| request | clients | reloads | requests | requests/s | p50 ms | p99 ms '
        '| errors |',
        '|---|---|---|---|---|---|---|---|',
    ]
    lines += [
        f'| /{row["request"]} | {row["clients"]} | {row["reloads"]} '
        f'| {row["requests"]} | {row["per_second"]:.0f} | {row["p50_ms"]:.1f} '
        f'| {row["p99_ms"]:.1f} | {row["errors"]} |'
        for row in rows
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
