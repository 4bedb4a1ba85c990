from __future__ import annotations

from collections import Counter

import pytest
import torch

from pyg_irllrec.functional import info_nce, matching_loss
from pyg_irllrec.nn import IntentAlignmentLoss, PairwiseAlignmentLoss

NUM_USERS = 4
TRIPLETS = torch.tensor([[0, 1, 3, 1], [0, 2, 4, 2], [3, 3, 0, 1]])


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    names = (
        'embedding',
        'profile',
        'interaction_intent',
        'text_intent',
        'teacher_intent',
    )
    return {name: torch.randn(9, 3, dtype=torch.float64) for name in names}


def pairwise(embedding, text, temperature):
    rows = [TRIPLETS[0].unique(), *(NUM_USERS + TRIPLETS[i].unique() for i in (1, 2))]
    return sum(info_nce(embedding[r], text[r], temperature=temperature) for r in rows)


def test_weighted_sum_of_named_terms(inputs):
    loss = IntentAlignmentLoss(
        0.1, 0.2, 0.3, 0.4, profile_temperature=0.5, intent_temperature=0.7
    ).eval()
    out = loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs)
    z, p, r, q, m = inputs.values()
    expected = {
        'profile': 0.1 * pairwise(z, p, 0.5),
        'intent': 0.2 * pairwise(r, q, 0.7),
        'translation': 0.3 * info_nce(q, z),
        'matching': 0.4 * matching_loss(q, m),
    }
    torch.testing.assert_close(out.terms, expected)
    torch.testing.assert_close(out.total, sum(expected.values()))


def test_terms_without_input_or_weight_are_left_out(inputs):
    z, p, _, q, _ = inputs.values()

    def terms(loss, **texts):
        return set(loss(z, TRIPLETS, NUM_USERS, **texts).terms)

    assert terms(IntentAlignmentLoss()) == set()
    assert terms(IntentAlignmentLoss(), profile=p) == {'profile'}
    assert terms(IntentAlignmentLoss(), text_intent=q) == {'translation'}
    assert terms(IntentAlignmentLoss(translation_weight=0), text_intent=q) == set()
    assert IntentAlignmentLoss()(z, TRIPLETS, NUM_USERS).total == 0


def test_gradients_reach_every_tower_but_the_teacher(inputs):
    for value in inputs.values():
        value.requires_grad_()
    IntentAlignmentLoss()(
        triplets=TRIPLETS, num_users=NUM_USERS, **inputs
    ).total.backward()
    assert inputs.pop('teacher_intent').grad is None
    assert all(value.grad.abs().sum() > 0 for value in inputs.values())


def test_compiles_without_graph_breaks(inputs):
    loss = IntentAlignmentLoss().eval()

    def total():
        return loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs).total

    compiled = torch.compile(total, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(), total())


def test_negative_weight():
    with pytest.raises(
        ValueError, match="'matching_weight' must be at least 0, got -1"
    ):
        IntentAlignmentLoss(matching_weight=-1)
    with pytest.raises(ValueError, match="'intent_temperature' must be at least 1e-30"):
        IntentAlignmentLoss(intent_temperature=0)


PARTS = (
    'user_profile',
    'item_profile',
    'user_intent',
    'item_intent',
    'translation',
    'matching',
)


class Zero(torch.nn.Module):
    """A part that accepts any arguments."""

    def forward(self, *inputs):
        return inputs[0].sum() * 0.0


class ZeroPairwise(PairwiseAlignmentLoss):
    def forward(self, embedding, text, index=None):
        return embedding.sum() * 0.0


def test_hooks_on_its_parts_run(inputs):
    loss = IntentAlignmentLoss().eval()
    expected = loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs)
    calls: Counter[str] = Counter()
    for name in PARTS:
        part = getattr(loss, name)
        part.register_forward_hook(lambda *args, name=name: calls.update([name]))
    out = loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs)
    torch.testing.assert_close(out, expected)
    # Positive and negative items are two calls.
    assert calls == dict.fromkeys(PARTS, 1) | {'item_profile': 2, 'item_intent': 2}


@pytest.mark.parametrize('cls', [Zero, ZeroPairwise])
def test_its_parts_can_be_replaced(inputs, cls):
    loss = IntentAlignmentLoss()
    for name in PARTS if cls is Zero else PARTS[:4]:
        setattr(loss, name, cls())
    out = loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs)
    assert out.terms['profile'] == out.terms['intent'] == 0
    assert (out.total == 0) == (cls is Zero)
    assert not loss.reads_batch_only()  # A replaced part may read all texts.


@pytest.mark.parametrize('duplicates', [False, True])
@pytest.mark.parametrize('negatives', [('all', 'batch'), ('batch', 'all')])
def test_calls_that_share_keys_equal_single_ones(inputs, negatives, duplicates):
    users, items = negatives
    loss = IntentAlignmentLoss(
        user_negatives=users, item_negatives=items, duplicates=duplicates
    ).eval()
    triplets = torch.tensor([[0, 0, 1], [2, 1, 2], [0, 3, 3]])
    out = loss(triplets=triplets, num_users=NUM_USERS, **inputs)
    for name in PARTS[:4]:  # With a hook, each column is a separate call.
        getattr(loss, name).register_forward_hook(lambda *args: None)
    single = loss(triplets=triplets, num_users=NUM_USERS, **inputs)
    torch.testing.assert_close(out, single)


def test_texts_of_the_batch_alone(inputs):
    nodes = TRIPLETS + torch.tensor([[0], [NUM_USERS], [NUM_USERS]])
    loss = IntentAlignmentLoss(translation_weight=0, matching_weight=0)
    expected = loss(triplets=TRIPLETS, num_users=NUM_USERS, **inputs)
    rows = {name: inputs[name][nodes] for name in ('profile', 'text_intent')}
    given = {**inputs, **rows, 'teacher_intent': None}
    out = loss(triplets=TRIPLETS, num_users=NUM_USERS, **given)
    torch.testing.assert_close(out, expected)
    # They do not suffice if a term reads all texts.
    for other in (
        IntentAlignmentLoss(item_negatives='all', matching_weight=0),
        IntentAlignmentLoss(),
    ):
        with pytest.raises(ValueError, match='must be a matrix'):
            other(triplets=TRIPLETS, num_users=NUM_USERS, **given)
    given['profile'] = given['profile'][:, 1:]
    with pytest.raises(ValueError, match="'profile' must be a matrix"):
        loss(triplets=TRIPLETS, num_users=NUM_USERS, **given)


def test_repr():
    shown = repr(
        IntentAlignmentLoss(
            duplicates=True, negative_item_intents=False, eps=1e-8, impl='eager'
        )
    )
    assert 'intent_weight=0.01' in shown and 'negative_item_intents=False' in shown
    assert "duplicates=True, impl='eager'" in shown and 'eps=1e-08' in shown


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'triplets': TRIPLETS.t()}, r"'triplets' must have shape .*, got \(4, 3\)"),
        ({'triplets': TRIPLETS - 1}, r"'triplets\[0\]' must hold ids of users from 0"),
        (
            {'triplets': TRIPLETS + 2},
            r"'triplets\[0\]' must .* to 3, got.* to 5",
        ),
        ({'triplets': TRIPLETS.float()}, "'triplets' must hold integers"),
        ({'embedding': torch.randn(9)}, "'embedding' must be a matrix"),
        ({'embedding': None}, "'embedding' must be a tensor, got NoneType"),
        (
            {name: torch.randn(3, 3) for name in ('text_intent', 'interaction_intent')},
            "'text_intent' must have a row per node.* 9 rows, got 3",
        ),
        (
            {'text_intent': None, 'teacher_intent': torch.randn(3, 3)},
            "'teacher_intent' must have a row per node.* 9 rows, got 3",
        ),
        (
            {'text_intent': None, 'interaction_intent': torch.randn(10, 3)},
            "'interaction_intent' must have a row per node.* 9 rows, got 10",
        ),
        (
            {'profile': torch.randn(8, 3)},
            "'profile' must have a row per node.* 9 rows, got 8",
        ),
        (
            {'text_intent': torch.randn(9, 2)},
            "'text_intent' must have the shape of",
        ),
        (
            {'interaction_intent': torch.randn(4, 3)},
            "'interaction_intent' must have",
        ),
        (
            {'teacher_intent': torch.randn(9, 4)},
            "'teacher_intent' must have the shape",
        ),
    ],
)
def test_wrong_arguments(inputs, change, message):
    arguments = {'triplets': TRIPLETS, 'num_users': NUM_USERS, **inputs, **change}
    with pytest.raises(ValueError, match=message):
        IntentAlignmentLoss()(**arguments)


def test_the_argument_that_is_wrong_is_named():
    for name in ('user_negatives', 'item_negatives'):
        with pytest.raises(ValueError, match=f"'{name}' must be one of 'batch', 'all'"):
            IntentAlignmentLoss(**{name: 'foo'})
    for num_users in (0, 5, 9):
        with pytest.raises(ValueError, match=r"'num_users' must be from 1 to 4 .* got"):
            IntentAlignmentLoss()(torch.randn(5, 2), TRIPLETS, num_users)


def test_without_any_text_the_total_is_a_zero_with_a_gradient():
    embedding = torch.full((9, 3), torch.nan, requires_grad=True)
    total, terms = IntentAlignmentLoss()(embedding, TRIPLETS, NUM_USERS)
    total.backward()
    assert terms == {} and float(total) == 0
    assert torch.equal(embedding.grad, torch.zeros(9, 3))


def test_one_user_is_enough():
    triplets = torch.tensor([[0, 0], [0, 1], [2, 2]])
    x, text = torch.randn(2, 4, 3, dtype=torch.float64)
    loss = IntentAlignmentLoss(1.0, profile_temperature=0.5)
    expected = sum(
        info_nce(x[rows], text[rows], temperature=0.5) for rows in ([0], [1, 2], [3])
    )
    terms = loss(x, triplets, 1, profile=text).terms
    torch.testing.assert_close(terms['profile'], expected)


@pytest.mark.parametrize('weights', [(1e-3, 0), (0, 1e-3), (0, 0)])
def test_small_weights_need_all_intents_too(weights):
    translation, matching = weights
    loss = IntentAlignmentLoss(translation_weight=translation, matching_weight=matching)
    assert loss.needs_all_intents() == any(weights)
