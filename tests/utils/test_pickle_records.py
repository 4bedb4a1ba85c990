from __future__ import annotations

import io
import os
import pickle

import pytest

from pyg_irllrec.utils.pickle_records import (
    PickledDict,
    PickledName,
    PickledObject,
    read_pickle_records,
)


def read(content, allowed=True):
    return read_pickle_records(io.BytesIO(content), lambda name: allowed)


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,), {'a': 1}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_returned(protocol):
    value = [1, -(2**70), 1.5, 'ü\n', (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), None]
    assert read(pickle.dumps([value, True, False], protocol)) == [value, True, False]
    found = read(pickle.dumps({'a': {1: 2}}, protocol))
    assert found == [('a', [(1, 2)])] and type(found) is PickledDict


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_are_described_and_not_created(protocol, tmp_path):
    path = str(tmp_path / 'made')
    found = read(pickle.dumps(Code(path), protocol))
    assert isinstance(found, PickledObject) and found.args == (path,)
    assert found.name.name == 'mkdir' and found.state == [('a', 1)]
    assert not os.path.exists(path)


def test_names_are_checked():
    content = b'cos\nsystem\n.'
    assert read(content) == PickledName('os', 'system')
    with pytest.raises(ValueError, match=r'it refers to os\.system'):
        read(content, allowed=False)
    with pytest.raises(ValueError, match=r'it refers to pickle\.persistent_id'):
        read(b'NQ.', allowed=False)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'exhausted'),
        (b'N', 'exhausted'),
        (b'NN.', 'unpack'),
        (b'.', 'unpack'),
        (b't.', 'a mark is missing|range'),
        (b'(N}u.', 'index|dictionary|mark'),
        (b'}(Nu.', 'a key has no value'),
        (b'NNR.', 'calls something other than a name'),
        (b'NNb.', 'sets the state of something other than'),
        (b')Na.', 'appends to something other than a list'),
        (b']NNs.', 'sets items of something other than a'),
        (b'\x82\x01.', 'it uses the instruction EXT1'),
        (b'(i__main__\nCode\n.', 'it uses the instruction INST'),
    ],
)
def test_damaged_pickles(content, message):
    with pytest.raises(ValueError, match=message):
        read(content)
