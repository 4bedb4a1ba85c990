from __future__ import annotations

import re
import zipfile

import pytest
import torch

from pyg_irllrec.training import AtomicCheckpointIO, atomic_checkpoint_io

PARTS = {
    'state_dict': {'a': torch.ones(2)},
    'history': [{'epoch': 1, 'loss': 0.5}],
    'settings': {'lr': 0.1, 'ks': [5], 'seed': 0},
    'epoch': 0,
    'global_step': 3,
    'pytorch-lightning_version': '2.6.0',
}


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


@pytest.fixture
def path(tmp_path):
    weights = {'a': torch.arange(300.0), 'b': torch.ones(2, 3, dtype=torch.bfloat16)}
    AtomicCheckpointIO().save_checkpoint(
        PARTS | {'state_dict': weights}, tmp_path / 'last.ckpt'
    )
    return tmp_path / 'last.ckpt'


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(path):
    io = AtomicCheckpointIO()
    content, right = path.read_bytes(), str(io.load_checkpoint(path))
    refused = 0
    for place in range(0, len(content), 11):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            assert str(io.load_checkpoint(path)) == right
        except ValueError as error:
            assert 'last.ckpt is not a checkpoint, or it is damaged' in str(error)
            refused += 1
    first = content.index(torch.arange(300.0).numpy().tobytes())
    changed = bytearray(content)
    changed[first + 600] ^= 1
    path.write_bytes(changed)
    with pytest.raises(ValueError, match='the checksum of archive/data/0 is wrong'):
        io.load_checkpoint(path)
    assert refused > 0


@pytest.mark.parametrize('size', [0, 1, 100, -1])
def test_cut_files(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match='is not a checkpoint, or it is damaged'):
        AtomicCheckpointIO().load_checkpoint(path)


def repack(path, method=zipfile.ZIP_STORED, **changes):
    """Write a file again, with correct checksums."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', method) as archive:
        for name, content in parts.items():
            change = changes.get(name.rpartition('/')[2], lambda content: content)
            archive.writestr(name, change(content))


def claim(content):
    length = b'M' + (300).to_bytes(2, 'little')
    assert length in content
    return content.replace(length, b'J' + (2**31 - 1).to_bytes(4, 'little'))


def test_a_storage_that_claims_more_than_it_has(path):
    """Torch would read beyond its end."""
    repack(path, **{'data.pkl': claim})
    with pytest.raises(ValueError, match='part 0 claims 8589934588 bytes'):
        AtomicCheckpointIO().load_checkpoint(path)


def test_two_parts_with_the_same_name(path):
    """Torch might not read the one that was checked."""
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('archive/Data.pkl', b'N.')
    with pytest.raises(ValueError, match='two of its parts have the same name'):
        AtomicCheckpointIO().load_checkpoint(path)


def test_an_expanded_weight_is_read_back(tmp_path):
    path = tmp_path / 'a.ckpt'
    state = {'a': torch.ones(1).expand(1000)}
    AtomicCheckpointIO().save_checkpoint(PARTS | {'state_dict': state}, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert loaded['state_dict']['a'].tolist() == [1.0] * 1000


def test_a_dtype_without_a_storage_type_is_read_back(tmp_path):
    path, value = tmp_path / 'a.ckpt', torch.arange(3).to(torch.uint16)
    AtomicCheckpointIO().save_checkpoint(PARTS | {'x': value}, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)['x']
    assert loaded.dtype == torch.uint16 and loaded.tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_read_is_not_damaged(path, monkeypatch):
    def refuse(path):
        raise PermissionError('not yours')

    monkeypatch.setattr(atomic_checkpoint_io, 'check_torch_archive', refuse)
    with pytest.raises(PermissionError, match='not yours'):
        AtomicCheckpointIO().load_checkpoint(path)


def test_compressed_parts(path):
    repack(path, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match='is compressed'):
        AtomicCheckpointIO().load_checkpoint(path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'state_dict': [1]}, 'wrong or missing: state_dict'),
        ({'state_dict': {1: torch.ones(2)}}, 'tensors by name, got a Tensor under 1'),
        ({'state_dict': {'a': 'b'}}, "tensors by name, got a str under 'a'"),
        ({'state_dict': {'a': None}}, 'tensors by name, got a NoneType'),
        ({'state_dict': {'a': torch.tensor([1, torch.nan])}}, "infinity in 'a'"),
        ({'state_dict': {'a': torch.tensor([torch.inf])}}, 'must hold finite weights'),
        ({'state_dict': {'a': torch.ones(1).expand(10**12)}}, 'dense tensors'),
        ({'state_dict': {'a': torch.eye(2).to_sparse()}}, 'damaged|dense tensors'),
        ({'history': {}}, 'wrong or missing: history'),
        ({'settings': None, 'epoch': 'one'}, 'wrong or missing: settings, epoch'),
        ({'settings': {}}, r'missing: settings\)'),
        ({'settings': PARTS['settings'] | {'lr': '1'}}, 'missing: settings'),
        ({'settings': PARTS['settings'] | {'ks': 'x'}}, 'missing: settings'),
        ({'settings': PARTS['settings'] | {'seed': -1}}, 'missing: settings'),
        ({'history': [1]}, 'missing: history'),
        ({'history': [{}]}, 'missing: history'),
        ({'history': [{'epoch': 1, 'loss': 'a'}]}, 'missing: history'),
        ({'history': [{'epoch': 1, 'loss': float('nan')}]}, 'missing: history'),
        ({'epoch': -5, 'global_step': 'x'}, 'missing: epoch, global_step'),
        ({'pytorch-lightning_version': 'x'}, 'missing: pytorch-lightning_version'),
        ({'pytorch-lightning_version': '0.7.0'}, 'pytorch-lightning_version'),
        ({'x': {(1, (2, 3)): 1}}, 'a key that is not a string'),
    ],
)
def test_parts_of_other_types(tmp_path, changes, message):
    path = tmp_path / 'last.ckpt'
    torch.save(PARTS | changes, path)
    with pytest.raises(ValueError, match=message):
        AtomicCheckpointIO().load_checkpoint(path)


@pytest.mark.parametrize('value', [[1, 2], 3, None, 'text', {1: 2}])
def test_files_that_hold_something_else(tmp_path, value):
    torch.save(value, tmp_path / 'a.ckpt')
    with pytest.raises(ValueError, match=r'a\.ckpt is not a checkpoint of a training'):
        AtomicCheckpointIO().load_checkpoint(tmp_path / 'a.ckpt')


def test_no_message_suggests_running_code(tmp_path):
    path = tmp_path / 'a.ckpt'
    for content in (Code(), {'x': Code()}, b'garbage' * 99):
        torch.save(content, path)
        if isinstance(content, bytes):
            path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            AtomicCheckpointIO().load_checkpoint(path)
        assert not {'weights_only', 'torch.load', 'trust'} & set(
            re.findall(r'[\w.]+', str(caught.value))
        )
