from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import propagate
from pyg_irllrec.nn import AlphaRec
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.utils import symmetric_norm

TEXT = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


class TestAlphaRec(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return AlphaRec(
            num_users, num_items, TEXT, self.interactions, embedding_dim, num_intents=3
        )


def test_users_are_the_mean_of_their_items():
    model = TestAlphaRec().backbone()
    user, item = TestAlphaRec.interactions
    for u in range(5):
        torch.testing.assert_close(model.text[u], TEXT[item[user == u]].mean(dim=0))
    assert (model.text[5] == 0).all()
    assert torch.equal(model.text[6:], TEXT)


def test_a_repeated_interaction_counts_once_in_the_text_of_a_user():
    pairs = TestAlphaRec.interactions
    repeated = torch.cat([pairs, pairs[:, :1].repeat(1, 3)], dim=1)
    texts = [AlphaRec(6, 7, TEXT, each, 4).text for each in (pairs, repeated)]
    torch.testing.assert_close(*texts)


def test_equals_the_dense_formula():
    tests = TestAlphaRec()
    model = tests.backbone()
    source, target = tests.edge_index.as_tensor()
    a = torch.zeros(13, 13).index_put((target, source), torch.tensor(1.0))
    inverse = a.sum(dim=1).rsqrt().nan_to_num(posinf=0)
    a = inverse[:, None] * a * inverse
    e = model.projector(model.text)
    mean = (e + a @ e + a @ a @ e) / 3
    out = model(tests.edge_index).embedding
    torch.testing.assert_close(out, mean / mean.norm(dim=1, keepdim=True))


def test_inner_products_instead_of_cosines():
    tests = TestAlphaRec()
    unit, raw = (
        AlphaRec(6, 7, TEXT, tests.interactions, 4, normalize=each, hidden_channels=3)
        for each in (True, False)
    )
    assert unit.projector.hidden_channels == 3
    raw.load_state_dict(unit.state_dict())
    cosine, inner = (model(tests.edge_index).embedding for model in (unit, raw))
    layers = [raw.node_features()]
    for _ in range(2):
        adj = tests.edge_index
        weight = symmetric_norm(adj, 13)
        layers.append(propagate(layers[-1], adj, weight))
    torch.testing.assert_close(inner, sum(layers) / 3)
    torch.testing.assert_close(cosine, torch.nn.functional.normalize(inner))
    rows = inner[:6], inner[6:12], inner[7:13]
    unit_rows = (torch.nn.functional.normalize(each) for each in rows)
    torch.testing.assert_close(raw.ranking_loss(*rows), unit.ranking_loss(*unit_rows))


def test_ranks_by_a_softmax_over_the_negatives_of_the_batch():
    model = TestAlphaRec().backbone()
    user, positive, negative = torch.nn.functional.normalize(
        torch.randn(3, 6, 4), dim=2
    ).unbind()
    own = (user * positive).sum(dim=1, keepdim=True)
    logits = torch.cat([own, user @ negative.t()], dim=1) / 0.15
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(6).long())
    out = model.ranking_loss(user, positive, negative)
    torch.testing.assert_close(out, expected)


def test_texts_are_not_saved():
    assert set(TestAlphaRec().backbone().state_dict()) == {
        'user_prototypes.weight',
        'item_prototypes.weight',
        *(
            f'projector.{layer}.{kind}'
            for layer in (0, 2)
            for kind in ('weight', 'bias')
        ),
    }


@pytest.mark.parametrize(
    ('text', 'change', 'message'),
    [
        (TEXT[:6], {}, "'item_text' must have a row per item, 7 rows, got 6"),
        (TEXT * torch.nan, {}, "'item_text' must be finite"),
        (TEXT, {'temperature': 0}, "'temperature' must be at least 1e-30, got 0"),
        (
            TEXT,
            {'num_layers': 0},
            "'num_layers' must be an integer of at least 1, got 0",
        ),
    ],
)
def test_wrong_arguments(text, change, message):
    with pytest.raises(ValueError, match=message):
        AlphaRec(6, 7, text, BackboneTests.interactions, **change)


def test_wrong_user_ids():
    with pytest.raises(ValueError, match=r'users.* must hold ids from 0 to 2'):
        AlphaRec(3, 7, TEXT, BackboneTests.interactions)
