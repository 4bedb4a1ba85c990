from __future__ import annotations

import errno

import numpy as np
import pytest

from pyg_irllrec.datasets._ingest.disk_arrays import DiskArrays


def test_vectors_come_back_in_any_order_and_leave_no_file(tmp_path):
    arrays = DiskArrays(tmp_path)
    vectors = [np.arange(5), np.array([], np.float32), np.array([1.5, -2.5])]
    for vector in vectors:
        arrays.append(vector)
    for part in (2, 0, 1):
        found = arrays[part]
        assert found.dtype == vectors[part].dtype
        assert found.tolist() == vectors[part].tolist()
    arrays.append(np.arange(10)[::3])
    assert [len(each) for each in arrays] == [5, 0, 2, 4]
    assert arrays[3].tolist() == [0, 3, 6, 9]
    assert list(tmp_path.iterdir()) == []


def test_records_are_joined(tmp_path):
    arrays = DiskArrays(tmp_path)
    whole = np.zeros(6, [('key', np.int64), ('rating', np.float32)])
    whole['key'], whole['rating'] = np.arange(6), np.arange(6) / 2
    for start in (0, 2, 4):
        arrays.append(whole[start : start + 2])
    assert (arrays.joined() == whole).all()


def test_rows_of_a_matrix(tmp_path):
    one, other = DiskArrays(tmp_path), DiskArrays(tmp_path)
    for start in (0, 3):
        one.append(np.arange(start, start + 3))
        other.append(-np.arange(start, start + 3))
    assert other.mapped().tolist() == [0, -1, -2, -3, -4, -5]
    assert one.mapped(other).tolist() == [[*range(6)], [-x for x in range(6)]]


def test_a_full_disk_is_named(tmp_path):
    arrays = DiskArrays(tmp_path)

    class Full:
        def seek(self, place):
            pass

        def write(self, data):
            raise OSError(errno.ENOSPC, 'No space left on device')

    arrays._file = Full()
    with pytest.raises(OSError, match=rf'{tmp_path} has no room .*No space') as error:
        arrays.append(np.arange(3))
    assert error.value.errno == errno.ENOSPC
