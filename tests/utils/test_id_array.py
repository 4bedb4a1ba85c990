from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from pyg_irllrec.utils.id_array import as_id_array, to_strings


@pytest.mark.parametrize(
    'ids',
    [
        [7, -1],
        ['7', ' -1\t'],
        ['7.0', -1.0],
        np.array([7, -1], '>i2'),
        np.array([7, -1], '>f8'),
        np.array([7, '-1.00'], object),
        np.array(['7', '-1']),
        torch.tensor([7, -1], dtype=torch.int8),
        torch.tensor([7.0, -1.0]).half(),
        pd.Series([7, -1], dtype='Int64'),
        pd.Index(['7', '-1']),
        pa.array(['7', '-1']),
        pa.chunked_array([[7], [-1]]),
        {7: 'a', -1: 'b'}.keys(),
        (each for each in (7, -1)),
    ],
)
def test_integers_in_any_notation(ids):
    found = as_id_array(ids)
    assert found.dtype == np.int64 and found.tolist() == [7, -1]
    assert to_strings(found).tolist() == ['7', '-1']


@pytest.mark.parametrize(
    ('ids', 'texts'),
    [
        (['x', 7, '7.0', 8.0, '-0.0'], ['x', '7', '7', '8', '0']),
        (
            ['07', '+7', '７', '7e0', '-0', '1_0'],
            ['07', '+7', '７', '7e0', '-0', '1_0'],
        ),
        ([1, 2**63, '-9223372036854775809'], ['1', f'{2**63}', f'{-(2**63) - 1}']),
        (np.array([1, 2**63], np.uint64), ['1', f'{2**63}']),
        (['9' * 5000], ['9' * 5000]),
    ],
)
def test_one_text_makes_all_ids_texts(ids, texts):
    found = as_id_array(ids)
    assert found.tolist() == texts and to_strings(found) is found


def test_no_ids():
    assert as_id_array([]).shape == (0,)
    assert as_id_array(torch.tensor([])).dtype == np.int64


@pytest.mark.parametrize(
    ('ids', 'message'),
    [
        (5, "'ids' must be a list of ids, an array or a tensor, got int"),
        ({'a': 1}, "'ids' must be a list of ids, .* got dict"),
        (np.ones((2, 1)), r"'ids' must be a vector, got shape \(2, 1\)"),
        ([1, True], 'row 1: must hold integers or strings, got bool'),
        (np.array([True]), 'row 0: must hold integers or strings, got bool'),
        (np.array(['2020'], 'M8[D]'), 'row 0: must hold integers or strings, got dat'),
        ([1, pd.NA], 'row 1: lacks an id'),
        ([1, float('nan')], 'row 1: lacks an id'),
        (['a', ' '], 'row 1: lacks an id'),
        ([1, 2.0**53], 'row 1: .*lost digits'),
        (torch.ones(2).to(torch.float8_e5m2), "'ids' must be a dense tensor of int"),
        (torch.ones(2) * 1j, 'row 0: must hold integers or strings, got complex'),
        (torch.tensor([1, 2**11]).half(), 'row 1: .*lost digits'),
        (['a', f'{2**53}.0'], 'row 1: .*lost digits'),
        (['\ud800'], 'row 0: holds half a surrogate pair'),
    ],
)
def test_invalid_ids(ids, message):
    with pytest.raises(ValueError, match=message):
        as_id_array(ids)
