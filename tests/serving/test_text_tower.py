from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.serving import _text_tower
from pyg_irllrec.serving._text_tower import TextRidge, TextTower, trained_rows

NUM_USERS, NUM_ITEMS, NUM_COLD, DIM = 80, 150, 50, 6


@pytest.fixture(scope='module')
def world():
    """Users and items whose embeddings follow from texts plus noise. The last items
    have no interactions."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(NUM_ITEMS, DIM, generator=generator)
    noise = 3 * torch.randn(NUM_ITEMS, 4, generator=generator)
    item = text @ torch.randn(DIM, 4, generator=generator) + noise
    user = torch.randn(NUM_USERS, 4, generator=generator) + 0.5
    warm = torch.arange(NUM_ITEMS - NUM_COLD)
    best = (user @ item[warm].t()).topk(8).indices
    chosen = torch.stack([torch.arange(NUM_USERS).repeat_interleave(8), best.flatten()])
    pairs = torch.cat([chosen, torch.stack([warm % NUM_USERS, warm])], dim=1)
    return user, item, text, pairs


def tower_of(world, user_text=None):
    user, item, text, pairs = world
    return TextTower(
        user, item, user_text, text, pairs, lambda rows: user[rows] @ item.t()
    )


def test_predicts_as_a_regression_written_out(world):
    _, item, text, _ = world
    ridge = TextRidge(text, torch.arange(100))
    ridge.fit(item[:100].t())
    known = unit_norm(text - text[:100].mean(0))
    known = (known - known[:100].mean(0)).double()
    gram = known[:100].t() @ known[:100] + ridge.l2_weight * torch.eye(DIM)
    mean = item[:100].mean(0).double()
    weight = torch.linalg.solve(gram, known[:100].t() @ (item[:100] - mean))
    wanted = mean + known[100:] @ weight
    found = ridge.predict(item[:100], text[100:])
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)


def test_leaves_out_as_regressions_without_each_node(world):
    """The closed form equals one regression per node, except that means include all."""
    _, item, text, _ = world
    rows = torch.arange(40)
    ridge = TextRidge(text, rows)
    found = ridge.fit(item[:40].t())
    x = ridge._turned.double()
    y = item[:40].double()
    for left_out in (0, 17, 39):
        kept = rows != left_out
        one, mean = x[kept], y.mean(0)
        gram = one.t() @ one + ridge.l2_weight * torch.eye(DIM)
        weight = torch.linalg.solve(gram, one.t() @ (y[kept] - mean))
        wanted = mean + x[left_out] @ weight
        torch.testing.assert_close(
            found[:, left_out].double(), wanted, rtol=1e-3, atol=1e-3
        )


def test_the_penalty_follows_the_noise():
    """In many dimensions, noise needs a larger penalty."""
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(60, 40, generator=generator)
    value = text @ torch.randn(40, 8, generator=generator)
    noise = 12 * torch.randn(60, 8, generator=generator)
    rows = torch.arange(60)
    clear, noisy = TextRidge(text, rows), TextRidge(text, rows)
    clear.fit(value.t())
    noisy.fit((value + noise).t())
    assert clear.l2_weight < noisy.l2_weight


def test_cold_items_get_their_share_of_the_top(world):
    """A third of the items get about a third of the top 20."""
    user, item, text, pairs = world
    tower = tower_of(world)
    cold = tower.only_text('item')
    assert cold.tolist() == list(range(NUM_ITEMS - NUM_COLD, NUM_ITEMS))
    scores = user @ item.t()
    scores[:, cold] = tower.score_items(scores, text[cold])
    scores[pairs[0], pairs[1]] = -torch.inf
    share = (scores.topk(15).indices >= NUM_ITEMS - NUM_COLD).float().mean()
    assert 0.25 < share < 0.45
    assert tower._sides['item'].scale > 1.2  # Predictions of a regression are smaller.


def test_predicted_embeddings_give_the_predicted_scores(world):
    user, item, text, _ = world
    tower = tower_of(world)
    scores = tower.score_items(user @ item.t(), text[-NUM_COLD:])
    embedded = user @ tower.items(text[-NUM_COLD:]).t()
    torch.testing.assert_close(embedded, scores, rtol=1e-4, atol=1e-4)
    true = user @ item[-NUM_COLD:].t()
    assert torch.corrcoef(torch.stack([scores.flatten(), true.flatten()]))[0, 1] > 0.5


def test_users_are_embedded_by_their_texts(world):
    user, *_ = world
    generator = torch.Generator().manual_seed(2)
    user_text = user @ torch.randn(4, DIM, generator=generator)
    tower = tower_of(world, user_text)
    found = tower.users(user_text[:5] * 1.01)
    assert torch.cosine_similarity(found, user[:5]).min() > 0.9


def test_a_node_without_a_text_is_the_mean(world):
    _, item, _, _ = world
    found = tower_of(world).items(torch.zeros(1, DIM))
    torch.testing.assert_close(found[0], item[:-NUM_COLD].mean(0))


def test_texts_that_are_all_the_same_rank_in_the_middle(world):
    user, item, _, pairs = world
    text = torch.ones(NUM_ITEMS, DIM)
    tower = TextTower(user, item, None, text, pairs, lambda rows: user[rows] @ item.t())
    scores = tower.score_items(user @ item.t(), text[:2])
    mean = (user @ item.t())[:, :-NUM_COLD].mean(1, keepdim=True)
    torch.testing.assert_close(scores, mean.expand(-1, 2), rtol=1e-4, atol=1e-4)


def test_many_nodes_are_subsampled_evenly(world, monkeypatch):
    _, _, text, _ = world
    monkeypatch.setattr(_text_tower, '_MAX_ROWS', 10)
    assert TextRidge(text, torch.arange(100)).rows.tolist() == list(range(0, 100, 10))


def test_few_users_are_scored_if_there_are_many_items(world, monkeypatch):
    user, item, text, pairs = world
    asked = []

    def score(rows):
        asked.append(rows.tolist())
        return user[rows] @ item.t()

    monkeypatch.setattr(_text_tower, '_MAX_SCORES', 20 * NUM_ITEMS)
    TextTower(user, item, None, text, pairs, score).items(text[:1])
    assert asked == [list(range(0, NUM_USERS, 4))]


def test_rows_with_interactions_and_a_text():
    text = torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    assert trained_rows(text, torch.tensor([1, 3, 3])).tolist() == [3]


def test_names_what_is_missing(world):
    user, item, text, pairs = world
    with pytest.raises(ValueError, match='users of this model have no text vectors'):
        tower_of(world).users(text[:1])
    few = TextTower(user, item, None, text, pairs[:, :1], lambda rows: user[rows])
    assert few.only_text('item').numel() == 0
    with pytest.raises(ValueError, match='was trained on 1 items with a text'):
        few.items(text[:1])
