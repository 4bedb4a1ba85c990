from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.utils.select_rows import num_rows, select_rows
from tests.transforms.graphs import Rows

MAKERS = {
    'tensor': lambda rows: torch.tensor(rows, dtype=torch.int16),
    'array': lambda rows: np.array(rows, dtype=np.float32),
    'list': list,
    'tuple': tuple,
    'take': Rows,
    'array of str': lambda rows: np.array([str(row) for row in rows]),
}


@pytest.mark.parametrize('kind', MAKERS)
@given(index=st.lists(st.integers(0, 4), max_size=8), array=st.booleans())
@settings(deadline=None)
def test_equals_a_loop(kind, index, array):
    value = MAKERS[kind](range(5))
    rows = torch.tensor(index, dtype=torch.long)
    out = select_rows(value, rows.numpy() if array else rows)
    expected = MAKERS[kind](index)
    assert type(out) is type(value)
    if isinstance(out, (torch.Tensor, np.ndarray)):
        assert out.dtype == value.dtype and out.tolist() == expected.tolist()
    else:
        assert out == expected


def test_rows_of_matrices_keep_their_width():
    value = torch.arange(6.0).reshape(3, 2)
    assert select_rows(value, torch.tensor([2, 0])).tolist() == [[4, 5], [0, 1]]
    assert select_rows(value.numpy(), torch.tensor([1])).tolist() == [[2, 3]]
    assert select_rows(value, torch.tensor([], dtype=torch.long)).shape == (0, 2)


def test_text_array():
    pytest.importorskip('pyarrow')
    from pyg_irllrec.utils.text_array import TextArray

    out = select_rows(TextArray(['a', 'b', 'c']), torch.tensor([2, 0]))
    assert isinstance(out, TextArray) and list(out) == ['c', 'a']


@pytest.mark.parametrize('kind', MAKERS)
@pytest.mark.parametrize(
    ('index', 'message'),
    [
        ([3], "'index' must hold ids from 0 to 2, got ids from 3 to 3"),
        ([-1, 0], "'index' must hold ids from 0 to 2, got ids from -1 to 0"),
        ([[0]], r"'index' must be a vector, got shape \(1, 1\)"),
        ([0.5], "'index' must hold integers, got torch.float32"),
        ([True], "'index' must hold integers, got torch.bool"),
    ],
)
def test_wrong_index(kind, index, message):
    with pytest.raises(ValueError, match=message):
        select_rows(MAKERS[kind](range(3)), torch.tensor(index))


@pytest.mark.parametrize(
    'value',
    [{'a': 1}, 'text', 3, None, torch.tensor(1), np.float64(1), np.str_('text')],
)
def test_values_without_rows(value):
    assert num_rows(value) is None
    with pytest.raises(ValueError, match=f'got {type(value).__name__} without rows'):
        select_rows(value, torch.tensor([0]))
