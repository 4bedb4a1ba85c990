"""Jobs for the tests of benchmarks.chaos: a careful one, and some with a flaw."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from benchmarks._chaos_jobs import Job, Parts


def make_job(flaw: str = '') -> Job:
    def prepare(inputs: Path) -> None:
        rows = ''.join(f'user{k},item{k}\n' for k in range(99))
        (inputs / 'table.csv').write_text(f'user,item\n{rows}')

    def run(inputs: Path, folder: Path, resume: bool) -> None:
        table = read_table(inputs / 'table.csv')
        path = folder / 'out.jsonl'
        if flaw == 'never unlocks':
            if (folder / 'lock').exists():
                raise OSError(f'{path} is in use')
            (folder / 'lock').touch()
        if flaw != 'accepts partial files' or not path.exists():
            save(path, hashlib.sha256(table.encode()).hexdigest() + table)
        if flaw == 'never unlocks':
            (folder / 'lock').unlink()

    def read_table(path: Path) -> str:
        table = path.read_text()
        header, *rows = table.splitlines() or ['']
        if flaw != 'checks no table' and any(row.count(',') != 1 for row in rows):
            raise ValueError(f'{path}: a row has no two cells')
        if header != 'user,item':
            raise ValueError(f'{path} has no header')
        return table

    def save(path: Path, text: str) -> None:
        number = '' if flaw == 'shares a temporary file' else os.getpid()
        part = path.with_name(f'.{path.name}.{number}.tmp')
        part = path if flaw == 'accepts partial files' else part
        try:
            with open(part, 'w') as file:
                file.write(text[:500])
                file.flush()
                file.write(text[500:])
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError as error:
            if flaw == 'raises another error':
                raise KeyError(str(path)) from error
            name = 'a file' if flaw == 'names no file' else path
            raise OSError(f'{name} could not be written: {error.strerror}') from error

    def read(folder: Path) -> Parts:
        path = folder / 'out.jsonl'
        content = path.read_bytes()
        digest, text = content[:64], content[64:]
        right = hashlib.sha256(text).hexdigest().encode() == digest
        if not right and flaw not in ('checks no sum', 'accepts partial files'):
            raise ValueError(f'{path} is damaged')
        return {'text': repr(content)}

    return Job(flaw or 'careful', prepare, run, (read,))
