from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import EASE
from pyg_irllrec.nn.baselines import ease
from pyg_irllrec.utils import UserItems
from tests.nn.baselines.data import EVERYONE, ITEMS, PAIRS, USERS, X

TEXT = torch.randn(ITEMS, 3, generator=torch.Generator().manual_seed(1))
TEXT[2] = 0  # Without a text.


def by_hand(l2_weight, text_weight=0.0, text_l2_weight=1.0):
    """L3AE, or EASE without texts, by the formulas of the papers."""
    eye = torch.eye(ITEMS, dtype=torch.float64)
    unit = torch.nn.functional.normalize(TEXT).double()
    of_text = torch.linalg.inv(unit @ unit.t() + text_l2_weight * eye)
    prior = eye - of_text / of_text.diagonal()
    gram = (X.t() @ X).double()
    inverse = torch.linalg.inv(gram + (l2_weight + text_weight) * eye)
    free = inverse @ (gram + text_weight * prior)
    weight = free - inverse * (free.diagonal() / inverse.diagonal())
    return (X.double() @ weight).float()


@pytest.mark.parametrize('l2_weight', [0.5, 20.0])
def test_is_the_closed_form(l2_weight):
    model = EASE(USERS, ITEMS, PAIRS, l2_weight=l2_weight)
    torch.testing.assert_close(model.score(EVERYONE), by_hand(l2_weight))
    assert model.score(EVERYONE[:0]).shape == (0, ITEMS)


def test_no_item_predicts_itself():
    """Not even by rounding errors: each of these users has one item."""
    alone = torch.stack([torch.arange(ITEMS) + USERS, torch.arange(ITEMS)])
    pairs = torch.cat([PAIRS, alone], dim=1)
    model = EASE(USERS + ITEMS, ITEMS, pairs, item_text=TEXT)
    assert (model(alone) == 0).all()


@pytest.mark.parametrize(('text_weight', 'ridge'), [(5.0, 0.3), (40.0, 2.0)])
def test_with_a_text_prior(text_weight, ridge):
    options = {'text_weight': text_weight, 'text_l2_weight': ridge}
    model = EASE(USERS, ITEMS, PAIRS, l2_weight=7.0, item_text=TEXT, **options)
    torch.testing.assert_close(
        model.score(EVERYONE), by_hand(7.0, text_weight, ridge), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize('text_weight', [0.0, 5.0])
def test_few_users_are_factorised_in_place_of_items(text_weight, monkeypatch):
    calls = []
    invert = ease.invert_by_users
    monkeypatch.setattr(
        ease, 'invert_by_users', lambda *given: calls.append(1) or invert(*given)
    )
    monkeypatch.setattr(ease, '_FEW_USERS', 0)
    options = {'text_weight': text_weight, 'text_l2_weight': 2.0}
    model = EASE(USERS, ITEMS, PAIRS, l2_weight=7.0, item_text=TEXT, **options)
    expected = by_hand(7.0, text_weight, 2.0)
    torch.testing.assert_close(model.score(EVERYONE), expected, atol=1e-5, rtol=1e-4)
    assert calls == [1]
    with pytest.raises(ValueError, match="'l2_weight' must be larger"):
        EASE(USERS, ITEMS, PAIRS, l2_weight=1e-30).score(EVERYONE)


@pytest.mark.parametrize('few', [0, 2])
@pytest.mark.parametrize('text', [None, TEXT])
def test_what_is_tried_is_what_would_be_solved(text, few, monkeypatch):
    monkeypatch.setattr(ease, '_FEW_USERS', few)
    ridges = []
    invert = EASE._invert
    monkeypatch.setattr(
        EASE,
        '_invert',
        lambda self, ridge, *rest: ridges.append(ridge) or invert(self, ridge, *rest),
    )
    users = EVERYONE[3::2].clone()
    trials = EASE(USERS, ITEMS, PAIRS, item_text=text)._trials(users)
    # The sums are 20 with and without texts, 20 up to rounding, and 30.
    tried = [(10.0, 10.0, 1.0), (14.0, 6.0, 1.0), (14.0, 6.0, 5.0), (20.0, 0.0, 5.0)]
    tried += [(20 * 0.9, 20 - 20 * 0.9, 1.0), (10.0, 20.0, 1.0)]
    for l2_weight, text_weight, text_l2_weight in tried:
        options = {'l2_weight': l2_weight}
        if text is not None:
            options |= {'text_weight': text_weight, 'text_l2_weight': text_l2_weight}
        found = trials(options)(users[1:4])
        before = len(ridges)
        solved = EASE(USERS, ITEMS, PAIRS, item_text=text, **options).score(users[1:4])
        del ridges[before:]
        torch.testing.assert_close(found, solved, atol=1e-5, rtol=1e-4)
    assert len(ridges) == (2 if text is not None else 5)


def test_interactions_are_counted_once(monkeypatch):
    calls = []
    gram = EASE._gram
    monkeypatch.setattr(EASE, '_gram', lambda self: calls.append(1) or gram(self))
    model = EASE(USERS, ITEMS, PAIRS, item_text=TEXT)
    model.calibrate(UserItems(PAIRS, USERS, ITEMS), UserItems(PAIRS, USERS, ITEMS))
    assert calls == [1]


def test_a_prior_without_weight_changes_nothing():
    model = EASE(USERS, ITEMS, PAIRS, l2_weight=7.0, item_text=TEXT, text_weight=0.0)
    torch.testing.assert_close(model.score(EVERYONE), by_hand(7.0))


def test_a_small_weight_is_solved_in_double_precision():
    """In float32 the matrix cannot be inverted at all."""
    same = torch.stack(
        [torch.arange(USERS).repeat(2), torch.arange(2 * USERS) // USERS]
    )
    model = EASE(USERS, ITEMS, same, l2_weight=1e-6)
    expected = torch.zeros(USERS, ITEMS)
    expected[:, :2] = 1
    torch.testing.assert_close(model.score(EVERYONE), expected, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=r"'max_bytes' must be .*float64.*raise 'l2_w"):
        EASE(USERS, ITEMS, same, l2_weight=1e-6, max_bytes=3 * 4 * ITEMS**2)
    with pytest.raises(ValueError, match="'l2_weight' must be larger"):
        EASE(USERS, ITEMS, same, l2_weight=1e-30).score(EVERYONE)


def test_refuses_what_does_not_fit_before_it_takes_memory():
    with pytest.raises(ValueError, match=r'12000000000000 for 3 matrices.*ItemKNN'):
        EASE(USERS, 10**6, PAIRS)
    with pytest.raises(ValueError, match="'max_bytes' must be at least 1728"):
        EASE(USERS, ITEMS, PAIRS, max_bytes=1727)
    EASE(USERS, ITEMS, PAIRS, max_bytes=1728)


def test_does_not_choose_what_takes_too_much_memory(monkeypatch):
    monkeypatch.setattr('pyg_irllrec.nn.baselines.ease._MAX_CONDITION', 1.0)
    largest = float((X.t() @ X).sum(dim=1).max())
    assert 20 < largest < 200
    monkeypatch.setitem(EASE._grids, 'l2_weight', (1.0, 200.0))
    exclude = UserItems(PAIRS[:, :0], USERS, ITEMS)
    seen = UserItems(
        PAIRS, USERS, ITEMS
    )  # A smaller l2_weight repeats seen items more.
    for max_bytes, expected in ((3456, 1.0), (1728, 200.0)):
        model = EASE(USERS, ITEMS, PAIRS, max_bytes=max_bytes)
        model.calibrate(seen, exclude, k=3)
        assert model.options == {'l2_weight': expected}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'l2_weight': 0.0}, "'l2_weight' must be above 0"),
        ({'text_weight': 1.0}, "'text_weight' must be None without 'item_text'"),
        ({'text_l2_weight': 1.0}, "'text_l2_weight' must be None without"),
        (
            {'item_text': TEXT, 'text_l2_weight': 0.0},
            "'text_l2_weight' must be above 0",
        ),
        ({'item_text': TEXT, 'text_weight': -1.0}, "'text_weight' must be at least 0"),
        ({'item_text': TEXT[1:]}, "'item_text' must have a row per item, 12 rows"),
        ({'max_bytes': 0}, "'max_bytes' must be an integer of at least 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        EASE(USERS, ITEMS, PAIRS, **options)
