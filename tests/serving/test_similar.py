from __future__ import annotations

import pytest
import torch

from pyg_irllrec.serving import SimilarUser
from pyg_irllrec.serving._similar import most_similar
from tests.serving.bundles import plain_bundle


def test_by_cosine():
    bundle = plain_bundle()
    item = torch.nn.functional.normalize(bundle.ranker.item_embedding)
    cosine = item @ item[3]
    order = [row for row in cosine.argsort(descending=True).tolist() if row != 3]
    found = bundle.similar_items('book 3', k=5)
    assert [each.item for each in found] == [f'book {row}' for row in order[:5]]
    assert found[0].title == f'The Story of Book {order[0]}'
    assert found[0].score == pytest.approx(float(cosine[order[0]]), abs=1e-5)
    assert len(bundle.similar_items('book 3', k=1000)) == 39


def test_users():
    found = plain_bundle().similar_users('user-007', k=3)
    assert all(isinstance(each, SimilarUser) for each in found) and len(found) == 3
    assert 'user-007' not in [each.user for each in found]


def test_a_zero_embedding_is_similar_to_no_other():
    embedding = torch.tensor([[0.0, 0.0], [1.0, 2.0], [-2.0, 1.0]])
    assert most_similar(embedding, 0, 5).score.tolist() == [0, 0]
    assert most_similar(embedding, 1, 1).item.tolist() in ([0], [2])
    assert most_similar(embedding[:1], 0, 5).item.shape == (0,)


def test_invalid_arguments():
    with pytest.raises(ValueError, match="'item' must hold ids of items"):
        plain_bundle().similar_items('film')
    with pytest.raises(ValueError, match="'user' must hold ids of users"):
        plain_bundle().similar_users(None)
    with pytest.raises(ValueError, match="'k' must be an integer"):
        plain_bundle().similar_items('book 3', k=0)


def test_scores_of_pairs():
    bundle = plain_bundle()
    users, items = ['user-003', 'user-001', 'user-003'], ['book 1', 'book 2', 'book 0']
    full = bundle.model.score(torch.tensor([1, 3]))
    expected = torch.stack([full[1, 1], full[0, 2], full[1, 0]])
    torch.testing.assert_close(bundle.score(users, items), expected)
    assert bundle.score([], []).shape == (0,)
    with pytest.raises(ValueError, match="'items' must have one id per user, 3, got 1"):
        bundle.score(users, ['book 1'])
