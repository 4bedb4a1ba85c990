from __future__ import annotations

import copy
import io

import pytest
import torch

from pyg_irllrec.nn import EASE, ItemKNN, Popularity
from pyg_irllrec.nn.baselines import _closed_form
from pyg_irllrec.training import evaluate_ranker
from pyg_irllrec.utils import UserItems
from tests.nn.baselines.data import EVERYONE, ITEMS, PAIRS, TRAIN, USERS, VAL

KNOWN = PAIRS[:, ::2]
TEXT = torch.randn(ITEMS, 3, generator=torch.Generator().manual_seed(0))


def peak(monkeypatch, far):
    """Validation metrics that decrease with the value of this function of options."""
    tried = []

    def trials(self, users):
        return lambda options: tried.append(options) or self.score

    def measure(variants, num_variants, label, exclude, k, device):
        assert (num_variants, label, exclude, k) == (1, VAL, TRAIN, 3)
        assert len(variants(EVERYONE)) == 1
        return torch.tensor([[1.0, -far(**tried[-1])]])

    for cls in (EASE, ItemKNN):
        monkeypatch.setattr(cls, '_trials', trials)
    monkeypatch.setattr(_closed_form, 'measure', measure)
    return tried


@pytest.mark.parametrize(
    ('cls', 'best'),
    [
        (EASE, {'l2_weight': 20.0}),
        (EASE, {'l2_weight': 5e3}),
        (EASE, {'l2_weight': 200.0}),
        (ItemKNN, {'exponent': 0.1}),
    ],
)
def test_calibrates_what_is_open(cls, best, monkeypatch):
    (name,) = best
    model = cls(USERS, ITEMS, KNOWN)
    assert model.needs_calibration and model.options.items() <= cls._defaults.items()
    peak(monkeypatch, lambda **options: abs(options[name] - best[name]))
    model.calibrate(VAL, TRAIN, k=3)
    assert not model.needs_calibration and model.options == best
    expected = cls(USERS, ITEMS, KNOWN, **best).score(EVERYONE)
    assert torch.equal(model.score(EVERYONE), expected)
    model.reset_parameters()
    assert model.needs_calibration


def test_calibrates_several_and_keeps_what_is_given(monkeypatch):
    model = EASE(USERS, ITEMS, KNOWN, item_text=TEXT, text_l2_weight=3.0)

    def far(l2_weight, text_weight, text_l2_weight):
        ridge = l2_weight + text_weight
        return abs(ridge / 2000 - 1) + abs(text_weight / ridge - 0.35)

    peak(monkeypatch, far)
    model.calibrate(VAL, TRAIN, k=3)
    assert model.options == pytest.approx(
        {'l2_weight': 1300.0, 'text_weight': 700.0, 'text_l2_weight': 3.0}
    )


@pytest.mark.parametrize(
    ('given', 'best'),
    [
        ({'l2_weight': 7.0}, {'text_weight': 50.0, 'text_l2_weight': 2.0}),
        ({'text_weight': 7.0}, {'l2_weight': 1e3, 'text_l2_weight': 20.0}),
        ({'l2_weight': 7.0, 'text_weight': 7.0}, {'text_l2_weight': 100.0}),
    ],
)
def test_calibrates_what_is_open_beside_what_is_given(given, best, monkeypatch):
    model = EASE(USERS, ITEMS, KNOWN, item_text=TEXT, **given)
    peak(monkeypatch, lambda **tried: sum(abs(tried[it] - best[it]) for it in best))
    model.calibrate(VAL, TRAIN, k=3)
    assert model.options == given | best


def test_chooses_on_a_part_of_many_users(monkeypatch):
    assert _closed_form._sample(VAL) is VAL
    monkeypatch.setattr(_closed_form, '_MOST_USERS', 5)
    part = _closed_form._sample(VAL)
    users = part.degree.nonzero().flatten()
    assert users.numel() == 5 and users[-1] > USERS // 2
    assert torch.equal(part.degree[users], VAL.degree[users])
    assert torch.equal(part.lookup(users)[1], VAL.lookup(users)[1])
    model, measured = EASE(USERS, ITEMS, KNOWN), []
    monkeypatch.setattr(
        _closed_form,
        'measure',
        lambda *given: measured.append(given[2]) or torch.ones(1, 2),
    )
    model.calibrate(VAL, TRAIN, k=3)
    assert int((measured[0].degree > 0).sum()) == 5


@pytest.mark.parametrize('on_terminal', [False, True])
def test_shows_its_progress(on_terminal, monkeypatch, capsys):
    monkeypatch.setattr('sys.stderr.isatty', lambda: on_terminal)
    EASE(USERS, ITEMS, KNOWN).calibrate(VAL, TRAIN, k=3)
    assert capsys.readouterr().err == ''
    EASE(USERS, ITEMS, KNOWN).calibrate(VAL, TRAIN, k=3, progress=True)
    shown = capsys.readouterr().err
    if on_terminal:
        assert 'EASE, 12 items: 0 trials' in shown and 'choosing' not in shown
    else:
        assert shown == 'choosing the options of EASE (12 items) on validation\n'
    EASE(USERS, ITEMS, KNOWN, l2_weight=1.0).calibrate(VAL, TRAIN, progress=True)
    assert capsys.readouterr().err == ''
    with pytest.raises(ValueError, match="'progress' must be"):
        EASE(USERS, ITEMS, KNOWN).calibrate(VAL, TRAIN, progress='yes')


def test_validation_is_measured():
    model, best = EASE(USERS, ITEMS, KNOWN), []
    for value in EASE._grids['l2_weight']:
        other = EASE(USERS, ITEMS, KNOWN, l2_weight=value)
        best.append(sum(evaluate_ranker(other, VAL, TRAIN, (3,)).values()))
    model.calibrate(VAL, TRAIN, k=3)
    at = EASE._grids['l2_weight'].index(model.options['l2_weight'])
    assert best[at] >= max(best[max(at - 1, 0) : at + 2])


def test_what_is_given_stays():
    model = EASE(USERS, ITEMS, KNOWN, l2_weight=3.0)
    assert not model.needs_calibration and model.l2_weight == 3.0
    model.calibrate(VAL, TRAIN)
    assert model.options == {'l2_weight': 3.0}


def test_the_state_is_what_was_chosen(monkeypatch):
    model = EASE(USERS, ITEMS, KNOWN)
    peak(monkeypatch, lambda l2_weight: abs(l2_weight - 20.0))
    model.calibrate(VAL, TRAIN, k=3)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    assert file.tell() < 3000
    file.seek(0)
    other = EASE(USERS, ITEMS, KNOWN)
    before = other.score(EVERYONE)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.options == model.options != EASE(USERS, ITEMS, KNOWN).options
    assert torch.equal(other.score(EVERYONE), model.score(EVERYONE))
    assert not torch.equal(other.score(EVERYONE), before)
    with pytest.raises(ValueError, match="'state' must be a tensor of the 0 options"):
        Popularity(USERS, ITEMS, KNOWN).load_state_dict(model.state_dict())


def test_it_shows_the_options_in_use(monkeypatch):
    model = EASE(USERS, ITEMS, KNOWN)
    peak(monkeypatch, lambda l2_weight: abs(l2_weight - 20.0))
    model.calibrate(VAL, TRAIN, k=3)
    assert 'l2_weight=20)' in repr(model)
    assert 'l2_weight=3.0)' in repr(EASE(USERS, ITEMS, KNOWN, l2_weight=3.0))


def test_a_copy_is_solved_again():
    model = EASE(USERS, ITEMS, KNOWN)
    score = model.score(EVERYONE)
    other = copy.deepcopy(model)
    assert model._solution is not None and other._solution is None
    assert torch.equal(other.score(EVERYONE), score)


@pytest.mark.parametrize('cls', [EASE, ItemKNN, Popularity])
def test_takes_the_solution_of_another(cls, monkeypatch):
    first, second = (cls(USERS, ITEMS, KNOWN) for _ in range(2))
    solution = first.get_solution()
    second.set_solution([part.clone() for part in solution])
    wanted = first.score(EVERYONE)
    monkeypatch.setattr(cls, '_solve', None)
    assert torch.equal(second.score(EVERYONE), wanted)
    for one, other in zip(solution, second.get_solution(), strict=True):
        assert torch.equal(one, other)


def test_it_is_solved_once(monkeypatch):
    calls = []
    solve = EASE._solve
    monkeypatch.setattr(EASE, '_solve', lambda self: calls.append(1) or solve(self))
    model = EASE(USERS, ITEMS, KNOWN).half()
    model.recommend(EVERYONE, 2, batch_size=3)
    model.recommend(EVERYONE, 2)
    assert len(calls) == 1 and model.score(EVERYONE).dtype == torch.float32


def test_wrong_interactions():
    with pytest.raises(ValueError, match=r'interactions\[1\] \(items\)'):
        EASE(USERS, 3, PAIRS)
    with pytest.raises(ValueError, match="'users' must hold numbers from 0 to 39"):
        EASE(USERS, ITEMS, PAIRS).score(torch.tensor([USERS]))
    with pytest.raises(ValueError, match="'label' must have the 40 users and 12 items"):
        EASE(USERS, ITEMS, PAIRS).calibrate(UserItems(PAIRS, USERS, ITEMS + 1), TRAIN)


@pytest.mark.parametrize('cls', [EASE, ItemKNN, Popularity])
def test_a_new_user_scores_like_a_user_with_the_same_items(cls):
    model = cls(USERS, ITEMS, PAIRS)
    for user in range(USERS):
        _, items = UserItems(PAIRS, USERS, ITEMS).lookup(torch.tensor([user]))
        found = model.score_items(items)
        torch.testing.assert_close(found, model.score(torch.tensor([user])))
    with pytest.raises(ValueError, match="'items' must hold numbers from 0 to"):
        model.score_items(torch.tensor([ITEMS]))
