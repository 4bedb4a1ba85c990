from __future__ import annotations

import pytest

from pyg_irllrec.utils.files import atomic_write


def test_writes_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    with atomic_write(path) as file:
        file.write('one')
        assert not path.exists()
    assert path.read_text() == 'one'
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write('tw')
        raise RuntimeError
    assert path.read_text() == 'one'
    assert [child.name for child in path.parent.iterdir()] == ['file.txt']
