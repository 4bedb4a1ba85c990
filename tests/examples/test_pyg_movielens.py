from __future__ import annotations

import random
import runpy
from pathlib import Path

import pytest

from tests.examples.run_example import EXAMPLES

pytest.importorskip('pandas')

SCRIPT = EXAMPLES / 'pyg_movielens.py'


def write_movielens_1m(raw: Path, num_users: int = 30, num_movies: int = 25) -> None:
    """Write small files in the format of MovieLens1M."""
    raw.mkdir(parents=True)
    draw = random.Random(0)
    movies = [f'{k}::Film {k} (1999)::Comedy|Drama' for k in range(1, num_movies + 1)]
    users = [f'{k}::{"MF"[k % 2]}::25::{k % 7}::00000' for k in range(1, num_users + 1)]
    ratings = [
        f'{user}::{movie}::{draw.randint(1, 5)}::{900000000 + movie}'
        for user in range(1, num_users + 1)
        for movie in draw.sample(range(1, num_movies + 1), 12)
    ]
    tables = {'movies': movies, 'users': users, 'ratings': ratings}
    for name, lines in tables.items():
        text = '\n'.join(lines) + '\n'
        (raw / f'{name}.dat').write_text(text, encoding='ISO-8859-1')


def test_the_example_is_short():
    assert len(SCRIPT.read_text().splitlines()) <= 25


@pytest.mark.filterwarnings('ignore')
def test_trains_on_the_files_of_pyg_and_recommends(tmp_path, monkeypatch, capsys):
    write_movielens_1m(tmp_path / 'data' / 'MovieLens1M' / 'raw')
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(SCRIPT))
    assert names['model'].num_items == 25
    assert 0 < names['result'].test['recall@20'] <= 1
    best = names['best'].item
    assert best.shape == (3, 5) and best.min() >= 0
    seen = set(map(tuple, names['data'][names['rates']].edge_index.t().tolist()))
    assert not any((u, i) in seen for u in range(3) for i in best[u].tolist())
    assert (tmp_path / 'runs' / 'pyg-movielens' / 'best.ckpt').is_file()
    assert 'recall@20' in capsys.readouterr().out
