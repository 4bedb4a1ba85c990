from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.serving import FrozenRanker
from pyg_irllrec.typing import RATES
from tests.serving.bundles import small_model

USERS = torch.arange(60)


@pytest.fixture(scope='module')
def data():
    """Items 3 and 7 and user 5 have texts but no interactions."""
    data = SyntheticIntents(60, 40, 4)[0]
    user, item = data[RATES].edge_index
    kept = (item != 3) & (item != 7) & (user != 5)
    data[RATES].edge_index = data[RATES].edge_index[:, kept]
    return data


@pytest.fixture(scope='module')
def model(data):
    return small_model(data).eval()


def frozen(model, data, **texts):
    given = {'user_text': data['user'].profile, 'item_text': data['item'].profile}
    return FrozenRanker(model, **given | texts)


def test_nodes_with_interactions_are_scored_by_the_model(data, model):
    ranker = frozen(model, data)
    rest = [item for item in range(40) if item not in (3, 7)]
    users = USERS[USERS != 5]
    torch.testing.assert_close(
        ranker.score(users)[:, rest], model.score(users)[:, rest], rtol=0.05, atol=0.05
    )
    kept, item = ranker.item_embedding[rest], model.get_embeddings()[1][rest]
    assert torch.equal(kept, item)


def test_without_texts_it_is_the_model(data, model):
    ranker = FrozenRanker(model)
    assert torch.equal(ranker.score(USERS), model.score(USERS))
    assert ranker.by_text.numel() == 0


def test_items_with_only_a_text_are_scored_by_it(data, model):
    ranker = frozen(model, data)
    assert ranker.by_text.tolist() == [3, 7]
    scores = ranker.score(USERS)
    text = data['item'].profile[[3, 7]]
    torch.testing.assert_close(
        scores[:, [3, 7]], ranker.tower.score_items(scores, text), rtol=1e-4, atol=1e-4
    )
    assert torch.equal(ranker.item_embedding[[3, 7]], ranker.tower.items(text))
    assert not torch.allclose(scores[:, 3], model.score(USERS)[:, 3], atol=0.1)


def test_users_with_only_a_text_are_embedded_by_it(data, model):
    ranker = frozen(model, data)
    wanted = ranker.tower.users(data['user'].profile[5:6])
    torch.testing.assert_close(ranker.user_embedding[5:6], wanted)
    assert torch.equal(ranker.user_embedding[6], model.get_embeddings()[0][6])


def test_inner_products_are_the_scores_of_a_model_that_does_not_blend(data):
    model = small_model(data, alignment='none').eval()
    ranker = frozen(model, data)
    assert ranker.by_text.numel() == 0
    wanted = ranker.user_embedding @ ranker.item_embedding.t()
    torch.testing.assert_close(ranker.score(USERS), wanted)
    wanted = ranker.tower.items(data['item'].profile[3:4])
    torch.testing.assert_close(ranker.item_embedding[3:4], wanted)


def test_zeros_mean_no_text(data, model):
    text = data['item'].profile.clone()
    text[3] = 0
    assert frozen(model, data, item_text=text).by_text.tolist() == [7]
