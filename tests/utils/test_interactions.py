from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.utils.interactions import ids_to_nodes, positions

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


@given(ids=st.lists(INT64, unique=True, max_size=8), data=st.data())
@settings(deadline=None)
def test_ids_to_nodes(ids, data):
    nodes = data.draw(
        st.lists(st.sampled_from(range(len(ids)))) if ids else st.just([])
    )
    wanted = [ids[node] for node in nodes]
    for of in (lambda values: torch.tensor(values, dtype=torch.long), _texts):
        assert ids_to_nodes(of(ids), of(wanted)).tolist() == nodes


def _texts(values):
    return [f'id {value}' for value in values]


@pytest.mark.parametrize(
    ('ids', 'wanted', 'message'),
    [
        (torch.tensor([7, 5]), torch.tensor([5, 8, 9]), r'got 2 of 3 .* \(first: 8\)'),
        (torch.tensor([]).long(), torch.tensor([5]), r'got 1 of 1 .* \(first: 5\)'),
        (['a', 'b'], ['b', 'c'], r"got 1 of 2 that are not \(first: 'c'\)"),
        (torch.tensor([7]), ['7'], "must be a tensor, as 'ids' is, got list"),
        (torch.tensor([7]), torch.tensor([7.0]), "'wanted' must hold integers"),
    ],
)
def test_unknown_ids(ids, wanted, message):
    with pytest.raises(ValueError, match=message):
        ids_to_nodes(ids, wanted)
