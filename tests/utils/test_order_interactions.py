from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.utils.order_interactions import order_interactions

SIZE = 4
ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, SIZE - 1), st.integers(0, 2))
)


@given(rows=ROWS, by=st.sampled_from(['rare', 'recent', 'random']))
@settings(deadline=None)
def test_equals_sorted_pairs(rows, by):
    group, other, value = np.array(rows, np.int64).reshape(-1, 3).T
    options = {'rare': {}, 'recent': {'time': value}, 'random': {'draw': value}}[by]
    order = order_interactions(group, other, SIZE, **options)
    degree = np.bincount(other, minlength=SIZE)
    sign = {'rare': 0, 'recent': -1, 'random': 1}[by]
    expected, seen = [], set()
    for row in sorted(
        range(len(rows)),
        key=lambda k: (group[k], sign * value[k], degree[other[k]], other[k], k),
    ):
        pair = (group[row], other[row])
        if pair not in seen:
            seen.add(pair)
            expected.append(row)
    assert order.tolist() == expected
