from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pyg_irllrec.datasets._ingest import build_plan, raw_files
from pyg_irllrec.datasets.movie_lens import MovieLens
from tests.conftest import SHARED
from tests.datasets.files import write_files

LATEST = {
    'ratings.csv': """\
userId,movieId,rating,timestamp
1,1,4.0,964982703
2,1,0.5,964982704
2,11,5.0,964982705
""",
    'movies.csv': """\
movieId,title,genres
1,Toy Story (1995),Adventure|Animation
2,Nobody's (1996),Drama
11,"American President, The (1995)",(no genres listed)
""",
    'tags.csv': """\
userId,movieId,tag,timestamp
1,1,Fun,1
2,1,pixar,1
2,1,fun ,1
""",
}
OLDEST = {
    'u.data': '7\t3\t5\t881250949\n9\t1\t1\t881250950\n',
    'u.item': (
        '1|Misérables, Les (1995)|01-Jan-1995||http://x|0|1|1\n3|unknown||||1|0|0\n'
    ),
    'u.genre': 'unknown|0\nDrama|1\nMusical|2\n\n',
}
MILLION = {
    'ratings.dat': '1::10::5::978300760\n2::9::3::978302109\n',
    'movies.dat': '9::Sudden Death (1995)::Action\n10::Été: 2 (1996)::Drama|War\n',
}


@pytest.mark.parametrize('raw', ['', 'raw'])
def test_latest_small(tmp_path, raw):
    write_files(tmp_path / raw, LATEST)
    dataset = MovieLens(str(tmp_path))
    data = dataset[0]
    assert dataset.user_ids.tolist() == [1, 2] and dataset.item_ids.tolist() == [1, 11]
    rates = data['user', 'rates', 'item']
    assert rates.edge_index.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert rates.rating.tolist() == [4, 0.5, 5]
    assert rates.time.tolist() == [964982703, 964982704, 964982705]
    assert list(data['item'].text) == [
        'Toy Story (1995). Adventure, Animation',
        'American President, The (1995)',
    ]
    assert dataset.counts['unknown_item_texts'] == 1
    assert repr(dataset) == 'MovieLens(num_users=2, num_items=2, num_interactions=3)'
    assert (tmp_path / 'processed' / 'latest-small' / 'manifest.json').is_file()


def test_tags_on_request(tmp_path):
    write_files(tmp_path, LATEST)
    text = MovieLens(str(tmp_path), tags=True)[0]['item'].text
    assert text[0] == 'Toy Story (1995). Adventure, Animation. fun, pixar'
    assert MovieLens(str(tmp_path))[0]['item'].text[0].endswith('Animation')
    for name in ('100k', '1m'):
        with pytest.raises(ValueError, match=f"'tags' must be False for '{name}'"):
            MovieLens(str(tmp_path), name, tags=True)


@pytest.mark.parametrize('encoding', ['latin-1', 'utf-8'])
def test_100k(tmp_path, encoding):
    write_files(tmp_path, OLDEST, encoding)
    dataset = MovieLens(str(tmp_path), '100k')
    assert dataset.user_ids.tolist() == [7, 9] and dataset.item_ids.tolist() == [1, 3]
    assert list(dataset[0]['item'].text) == [
        'Misérables, Les (1995). Drama, Musical',
        'unknown',
    ]


def test_1m(tmp_path):
    write_files(tmp_path, MILLION, 'latin-1')
    dataset = MovieLens(str(tmp_path), '1m')
    assert dataset.item_ids.tolist() == [9, 10]  # As integers, 10 comes after 9.
    assert list(dataset[0]['item'].text) == [
        'Sudden Death (1995). Action',
        'Été: 2 (1996). Drama, War',
    ]
    assert dataset[0]['user', 'rates', 'item'].rating.tolist() == [5, 3]


def test_is_built_once(tmp_path, monkeypatch):
    raw, made = write_files(tmp_path / 'raw', LATEST), tmp_path / 'made'
    root, options = str(raw), {'processed_root': str(made)}
    before = {path: path.stat() for path in raw.iterdir()}
    MovieLens(root, **options)
    assert {path: path.stat() for path in raw.iterdir()} == before
    with monkeypatch.context() as patch:
        patch.setattr(build_plan, 'read_interactions', None)
        MovieLens(root, **options)
        for name in LATEST:  # A built dataset needs no raw files.
            (raw / name).rename(tmp_path / name)
        MovieLens(root, **options)
        with pytest.raises(FileNotFoundError, match=r'lacks ratings.csv'):
            MovieLens(root, **options, force_reload=True)
    write_files(raw, {**LATEST, 'ratings.csv': LATEST['ratings.csv'][:-19]})
    with pytest.raises(ValueError, match=r'built from other data .*force_reload=True'):
        MovieLens(root, **options)
    assert MovieLens(root, **options, force_reload=True).counts['rows'] == 2


def test_downloads_missing_files(tmp_path, monkeypatch):
    def download(url, folder):
        assert url == 'https://files.grouplens.org/datasets/movielens/ml-100k.zip'
        path = Path(folder) / 'ml-100k.zip'
        with zipfile.ZipFile(path, 'w') as file:
            for name, text in OLDEST.items():
                file.writestr(f'ml-100k/{name}', text.encode('latin-1'))
        return str(path)

    monkeypatch.setattr(raw_files, 'download_url', download)
    assert MovieLens(str(tmp_path), '100k').counts['interactions'] == 2
    raw = tmp_path / 'raw'
    assert sorted(path.name for path in raw.iterdir()) == sorted(OLDEST)


def broken_zip(url, folder):
    path = Path(folder) / 'x.zip'
    path.write_bytes(b'<html>')
    return str(path)


def other_zip(url, folder):
    path = Path(folder) / 'x.zip'
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('other.txt', '')
    return str(path)


@pytest.mark.parametrize('download', [None, broken_zip, other_zip])
def test_names_the_files_to_provide_without_a_network(tmp_path, monkeypatch, download):
    if download is not None:
        monkeypatch.setattr(raw_files, 'download_url', download)
    with pytest.raises(
        FileNotFoundError,
        match=r'raw lacks ratings.csv, movies.csv, .* put the files of https://',
    ):
        MovieLens(str(tmp_path))
    assert list((tmp_path / 'raw').iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'file', 'text', 'message'),
    [
        (
            'latest-small',
            'ratings.csv',
            'a,b\n1,2\n',
            'ratings.csv must have one column',
        ),
        (
            'latest-small',
            'movies.csv',
            'a,b\n1,2\n',
            'movies.csv must have one column',
        ),
        ('100k', 'u.item', '1|x\n', r'u.item, line 1: expected 8 fields .* got 2'),
        ('100k', 'u.data', '1\t2\tx\t4\n', r'u.data, line 1: .*numbers, got .x'),
        ('1m', 'ratings.dat', '1::2::3\n', r'ratings.dat, line 1: expected 4 fields'),
    ],
)
def test_damaged_files_are_named(tmp_path, name, file, text, message):
    files = {'latest-small': LATEST, '100k': OLDEST, '1m': MILLION}[name]
    write_files(tmp_path, {**files, file: text})
    with pytest.raises(ValueError, match=message):
        MovieLens(str(tmp_path), name)
    assert not (tmp_path / 'processed').exists()


def test_wrong_names(tmp_path):
    with pytest.raises(
        ValueError, match="'name' must be one of 'latest-small', '100k'"
    ):
        MovieLens(str(tmp_path), '25m')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'users', 'items', 'ratings'),
    [('latest-small', 610, 9724, 100_836), ('100k', 943, 1682, 100_000)],
)
def test_the_real_files(tmp_path, name, users, items, ratings):
    root = SHARED / 'data' / f'ml-{name}'
    if not root.is_dir():
        pytest.skip('the real data is not here')
    dataset = MovieLens(str(root), name, processed_root=str(tmp_path))
    data = dataset[0]
    assert (data['user'].num_nodes, data['item'].num_nodes) == (users, items)
    assert data['user', 'rates', 'item'].edge_index.size(1) == ratings
    (toy_story,) = dataset.nodes_of('item', [1]).tolist()
    assert data['item'].text[toy_story].startswith('Toy Story (1995). A')
    assert all(data['item'].text)
