from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import info_nce, matching_loss
from pyg_irllrec.nn import IntentAlignmentLoss

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
        ValueError, match="'matching_weight' must be 0 or above, got -1"
    ):
        IntentAlignmentLoss(matching_weight=-1)


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
        (
            {'profile': torch.randn(8, 3)},
            "'profile' must have the shape of 'emb",
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
