from __future__ import annotations

import pytest
import torch

from pyg_irllrec.training import AtomicCheckpointIO

PARTS = {'state_dict': {}, 'history': [], 'settings': {}}


def test_round_trip(tmp_path):
    path = tmp_path / 'new' / 'a.ckpt'
    AtomicCheckpointIO().save_checkpoint(
        {'x': torch.arange(3), 'n': [1, 'b'], **PARTS}, path
    )
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert torch.equal(loaded['x'], torch.arange(3)) and loaded['n'] == [1, 'b']
    assert [child.name for child in path.parent.iterdir()] == ['a.ckpt']


class Code:
    def __reduce__(self):
        return print, ('ran',)


def test_damaged_and_dangerous_files(tmp_path, capsys):
    path = tmp_path / 'a.ckpt'
    AtomicCheckpointIO().save_checkpoint({'x': torch.arange(1000), **PARTS}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
        ValueError, match=r'a\.ckpt is not a checkpoint, or it is damaged'
    ):
        AtomicCheckpointIO().load_checkpoint(path)
    torch.save({'x': 1}, path)
    with pytest.raises(ValueError, match=r'a\.ckpt is not a checkpoint of a training'):
        AtomicCheckpointIO().load_checkpoint(path)
    torch.save({'x': Code()}, path)
    with pytest.raises(ValueError, match=r'a\.ckpt is not a checkpoint'):
        AtomicCheckpointIO().load_checkpoint(path)
    assert 'ran' not in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        AtomicCheckpointIO().load_checkpoint(tmp_path / 'none.ckpt')
