from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pyg_irllrec.datasets._ingest import raw_files
from pyg_irllrec.datasets.last_fm import LastFM
from tests.conftest import SHARED
from tests.datasets.files import write_files

FILES = {
    'user_artists.dat': 'userID\tartistID\tweight\r\n2\t51\t13883\r\n3\t7\t1\r\n',
    'artists.dat': (
        'id\tname\turl\tpictureURL\n7\tMötley "Crüe\thttp://x\t\n51\tDuran\thttp://y\tz\n'
    ),
    'tags.dat': 'tagID\ttagValue\r\n1\tMetal\r\n2\t80s\r\n3\tglam\r\n',
    'user_taggedartists.dat': (
        'userID\tartistID\ttagID\tday\tmonth\tyear\n'
        '2\t7\t1\t1\t4\t2009\n3\t7\t3\t1\t4\t2009\n3\t7\t1\t1\t4\t2009\n'
        '3\t8\t2\t1\t4\t2009\n'
    ),
}


def test_plays_names_and_tags(tmp_path):
    write_files(tmp_path, FILES)
    dataset = LastFM(tmp_path, tags=True)
    data = dataset[0]
    assert dataset.user_ids.tolist() == [2, 3] and dataset.item_ids.tolist() == [7, 51]
    rates = data['user', 'rates', 'item']
    assert rates.edge_index.tolist() == [[0, 1], [1, 0]]
    assert rates.rating.tolist() == [13883, 1] and 'time' not in rates
    assert list(data['item'].text) == ['Mötley "Crüe. metal, glam', 'Duran']
    assert repr(dataset) == 'LastFM(num_users=2, num_items=2, num_interactions=2)'


def test_names_alone(tmp_path):
    write_files(tmp_path / 'raw', {name: FILES[name] for name in list(FILES)[:2]})
    data = LastFM(tmp_path)[0]
    assert list(data['item'].text) == ['Mötley "Crüe', 'Duran']


def test_only_the_most_frequent_tags(tmp_path):
    pairs = [(tag, count) for tag in range(30) for count in range(tag + 1)]
    tags = ''.join(f'{tag}\tT{tag}\n' for tag in range(30))
    given = ''.join(f'2\t7\t{tag}\t1\t4\t2009\n' for tag, _ in pairs)
    files = {
        **FILES,
        'tags.dat': 'tagID\ttagValue\n' + tags,
        'user_taggedartists.dat': 'userID\tartistID\ttagID\tday\tmonth\tyear\n' + given,
    }
    write_files(tmp_path, files)
    text = LastFM(tmp_path, tags=True)[0]['item'].text[0]
    assert text.endswith('. ' + ', '.join(f't{tag}' for tag in range(29, 19, -1)))


def test_downloads_missing_files(tmp_path, monkeypatch):
    def download(url, folder):
        assert url.endswith('hetrec2011/hetrec2011-lastfm-2k.zip')
        path = Path(folder) / 'x.zip'
        with zipfile.ZipFile(path, 'w') as file:
            for name, text in FILES.items():
                file.writestr(name, text)
        return str(path)

    monkeypatch.setattr(raw_files, 'download_url', download)
    assert LastFM(tmp_path, tags=True).counts['interactions'] == 2


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'lacks user_artists.dat, artists.dat'):
        LastFM(tmp_path)
    write_files(tmp_path, {**FILES, 'artists.dat': 'id\tname\n7\tx\n'})
    with pytest.raises(ValueError, match=r'artists.dat, line 1: expected 4 fields'):
        LastFM(tmp_path)
    unknown = FILES['user_taggedartists.dat'].replace('\t3\t1\t4', '\t99\t1\t4')
    write_files(tmp_path, {**FILES, 'user_taggedartists.dat': unknown})
    with pytest.raises(ValueError, match=r"user_taggedartists.dat .*tag '99'"):
        LastFM(tmp_path, tags=True)


def test_the_real_files(tmp_path):
    root = SHARED / 'data' / 'lastfm-2k'
    if not root.is_dir():
        pytest.skip('the real data is not here')
    dataset = LastFM(root, tags=True, processed_root=tmp_path)
    data = dataset[0]
    assert data['user'].num_nodes == 1892 and data['item'].num_nodes == 17_632
    assert data['user', 'rates', 'item'].edge_index.size(1) == 92_834
    assert data['item'].text[0].startswith('MALICE MIZER. j-rock, visual kei')
