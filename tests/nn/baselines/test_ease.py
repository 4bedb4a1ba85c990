from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import EASE
from pyg_irllrec.utils import UserItems
from tests.nn.baselines.data import EVERYONE, ITEMS, PAIRS, USERS, X

TEXT = torch.randn(ITEMS, 3, generator=torch.Generator().manual_seed(1))
TEXT[2] = 0  # Without a text.


def by_hand(l2_weight, text_weight=0.0, text_l2_weight=1.0):
    """L3AE, and EASE where there is no text, as their papers write them."""
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
    """Not even by rounding: each of these users has one item."""
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
    seen = UserItems(PAIRS, USERS, ITEMS)  # The less l2_weight, the more it repeats.
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
        ({'item_text': TEXT, 'text_weight': -1.0}, "'text_weight' must be 0 or above"),
        ({'item_text': TEXT[1:]}, "'item_text' must have a row per item, 12 rows"),
        ({'max_bytes': 0}, "'max_bytes' must be an integer of 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        EASE(USERS, ITEMS, PAIRS, **options)
