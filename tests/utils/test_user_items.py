from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from pyg_irllrec.utils import UserItems

NUM_USERS, NUM_ITEMS = 4, 6
PAIRS = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1))
)


def tensor(pairs: list[tuple[int, int]]) -> torch.Tensor:
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()


@given(pairs=PAIRS, users=st.lists(st.integers(0, NUM_USERS - 1), max_size=6))
@settings(deadline=None)
def test_lookup_equals_a_dictionary(pairs, users):
    items = UserItems(tensor(pairs), NUM_USERS, NUM_ITEMS)
    row, item = items.lookup(torch.tensor(users, dtype=torch.long))
    expected = [
        (position, i)
        for position, user in enumerate(users)
        for i in sorted({i for u, i in pairs if u == user})
    ]
    assert list(zip(row.tolist(), item.tolist(), strict=True)) == expected


@given(pairs=PAIRS, others=PAIRS)
@settings(deadline=None)
def test_intersection(pairs, others):
    mine, theirs = (
        UserItems(tensor(each), NUM_USERS, NUM_ITEMS) for each in (pairs, others)
    )
    expected = [pair in set(others) for pair in sorted(set(pairs))]
    assert mine.intersect(theirs).tolist() == expected


@given(pairs=PAIRS, seed=st.integers(0, 100))
@settings(deadline=None)
def test_negatives_are_true_negatives(pairs, seed):
    taken = {u: {i for v, i in pairs if v == u} for u in range(NUM_USERS)}
    users = [u for u in range(NUM_USERS) if len(taken[u]) < NUM_ITEMS] * 5
    items = UserItems(tensor(pairs), NUM_USERS, NUM_ITEMS)
    generator = torch.Generator().manual_seed(seed)
    negative = items.sample_negatives(torch.tensor(users, dtype=torch.long), generator)
    for user, item in zip(users, negative.tolist(), strict=True):
        assert 0 <= item < NUM_ITEMS and item not in taken[user]


def test_negatives_are_uniform():
    items = UserItems(torch.tensor([[1, 1, 1], [0, 2, 5]]), 2, NUM_ITEMS)
    users = torch.ones(30000, dtype=torch.long)
    drawn = items.sample_negatives(users, torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=NUM_ITEMS) / users.numel()
    expected = torch.tensor([0, 1, 0, 1, 1, 0]) / 3
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)


def test_negatives_are_uniform_by_a_chi_square():
    """For users with few items, with many, and with all but one."""
    degree = torch.tensor([0, 1, 9, 25, 39])
    num_items, num_draws = 40, 20_000
    rows = torch.rand(5, num_items, generator=torch.Generator().manual_seed(1))
    own = rows.argsort(dim=1).argsort(dim=1) < degree[:, None]
    items = UserItems(own.nonzero().t(), 5, num_items)
    users = torch.arange(5).repeat(num_draws)
    drawn = items.sample_negatives(users, torch.Generator().manual_seed(2))
    counts = torch.bincount(users * num_items + drawn, minlength=own.numel())
    counts = counts.view_as(own)
    assert not counts[own].any()
    for row, mine, size in zip(counts, own, (num_items - degree).tolist()):
        expected = num_draws / size
        statistic = float(((row[~mine] - expected).square() / expected).sum())
        assert statistic <= chi2.isf(1e-4, size - 1) if size > 1 else statistic == 0


def test_a_user_with_every_item():
    items = UserItems(torch.tensor([[0, 0, 1], [0, 1, 0]]), 2, 2)
    assert items.sample_negatives(torch.tensor([1])).tolist() == [1]
    with pytest.raises(ValueError, match='user 0, who has interacted with all 2 items'):
        items.sample_negatives(torch.tensor([1, 0]))


def test_narrow_ids_do_not_overflow():
    pairs = torch.tensor([[69999, 0], [59999, 1]], dtype=torch.int32)
    items = UserItems(pairs, 70000, 60000)
    assert [part.tolist() for part in items.lookup(torch.tensor([69999]))] == [
        [0],
        [59999],
    ]


def test_wrong_ids_and_repr():
    for wrong in (torch.zeros(3, 2).long(), torch.zeros(2, 3)):
        with pytest.raises(ValueError, match="'interactions' must"):
            UserItems(wrong, 2, 2)
    with pytest.raises(ValueError, match=r'\(items\).* got ids from 9 to 9'):
        UserItems(torch.tensor([[0], [9]]), 2, 2)
    items = UserItems(torch.tensor([[0, 0], [1, 1]]), 2, 2)
    assert repr(items) == 'UserItems(num_users=2, num_items=2, num_interactions=1)'


def test_sizes_whose_pairs_do_not_fit_into_64_bits():
    with pytest.raises(ValueError, match=r'must be below 2\*\*63, got 4294967296 and'):
        UserItems(torch.zeros(2, 1).long(), 2**32, 2**31)


def test_pairs_are_distinct_and_sorted():
    given = torch.tensor([[1, 0, 1, 1], [2, 1, 0, 2]])
    assert UserItems(given, 3, 3).pairs.tolist() == [[0, 1, 1], [1, 0, 2]]
