from __future__ import annotations

import pytest

from pyg_irllrec.cli.read_ids import read_ids
from pyg_irllrec.serving.nodes import Nodes

NODES = Nodes('item', ['a 1', 'ü2', '3', 'a'])


def test_one_id_per_line(tmp_path):
    path = tmp_path / 'ids.txt'
    path.write_bytes('\ufeffa 1\r\n\n  ü2  \n3'.encode())
    assert read_ids('--among', path, NODES) == ['a 1', 'ü2', '3']


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b' \n\n', 'got no id'),
        (b'a\n\xff', 'UTF-8, got the byte 0xff at position 2'),
        (b'a\n\nb\n', "ids of items of .*'a 1', got 'b' in line 3"),
    ],
)
def test_files_without_valid_ids_are_rejected(tmp_path, content, reason):
    path = tmp_path / 'ids.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'--among .*ids.txt must contain .*{reason}'):
        read_ids('--among', path, NODES)


def test_unreadable_files_are_rejected(tmp_path):
    with pytest.raises(OSError, match=r'--exclude .* cannot be read: No such file'):
        read_ids('--exclude', tmp_path / 'none', NODES)
    with pytest.raises(OSError, match=r'--exclude .* cannot be read: Is a directory'):
        read_ids('--exclude', tmp_path, NODES)
