from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.utils.positions import positions

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)


@given(ids=st.sets(INT64, max_size=8), index=st.lists(INT64, max_size=8))
@settings(deadline=None)
def test_positions(ids, index):
    ids = sorted(ids)
    index = index + ids[::-1]
    place = {value: k for k, value in enumerate(ids)}
    out = positions(
        torch.tensor(index, dtype=torch.long), torch.tensor(ids, dtype=torch.long)
    )
    assert out.tolist() == [place.get(value, -1) for value in index]
