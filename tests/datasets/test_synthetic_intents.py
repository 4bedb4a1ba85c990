from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents

SPLITS = ('edge_index', 'val_edge_label_index', 'test_edge_label_index')


def test_has_interactions_texts_vectors_and_the_truth():
    dataset = SyntheticIntents(60, 50, num_intents=5)
    assert (
        repr(dataset) == 'SyntheticIntents(num_users=60, num_items=50, num_intents=5)'
    )
    data = dataset[0]
    assert len(data.intent_names) == 5
    for side, number in (('user', 60), ('item', 50)):
        assert data[side].intent_share.shape == (number, 5)
        torch.testing.assert_close(
            data[side].intent_share.sum(dim=1), torch.ones(number)
        )
        assert len(data[side].profile_text) == len(data[side].intent_text) == number
        for kind in ('profile', 'intent'):
            assert data[side][kind].size(0) == number
            assert data[side][kind].isfinite().all()


@pytest.mark.parametrize('size', [(1, 8), (60, 50), (300, 20)])
def test_splits_are_disjoint_and_every_user_can_be_trained(size):
    rates = SyntheticIntents(*size, num_intents=3, interactions_per_user=4)[0][
        'user', 'rates', 'item'
    ]
    pairs = torch.cat([rates[name] for name in SPLITS], dim=1)
    assert pairs.unique(dim=1).size(1) == pairs.size(1)
    assert (pairs >= 0).all() and (pairs.max(dim=1).values < torch.tensor(size)).all()
    assert rates.edge_index[0].unique().numel() == size[0]
    assert all(rates[name].size(1) > 0 for name in SPLITS)


def test_the_same_seed_gives_the_same_data():
    first, second = SyntheticIntents(60, 50)[0], SyntheticIntents(60, 50)[0]
    other = SyntheticIntents(60, 50, seed=1)[0]
    rates = ('user', 'rates', 'item')
    assert torch.equal(first[rates].edge_index, second[rates].edge_index)
    assert torch.equal(first['user'].profile, second['user'].profile)
    assert first['user'].profile_text == second['user'].profile_text
    assert not torch.equal(first['user'].intent_share, other['user'].intent_share)


def test_interactions_and_texts_follow_the_intents():
    data = SyntheticIntents(400, 300)[0]
    user, item = data['user', 'rates', 'item'].edge_index
    theta, phi = data['user'].intent_share, data['item'].intent_share
    agreement = (theta[user] * phi[item]).sum(dim=1).mean()
    shuffled = (theta[user] * phi[item[torch.randperm(item.numel())]]).sum(dim=1).mean()
    assert agreement > 3 * shuffled
    # Texts of nodes with the same main intent are more similar.
    vectors, main = data['item'].intent, phi.argmax(dim=1)
    same = main[:, None] == main
    cosine = vectors @ vectors.t()
    assert cosine[same].mean() > 3 * cosine[~same].mean()


def test_any_encoder():
    def count_words(texts):
        return np.array([[len(text.split()), 1.0] for text in texts])

    data = SyntheticIntents(60, 50, encoder=count_words)[0]
    words = [len(text.split()) for text in data['item'].profile_text]
    assert data['item'].profile[:, 0].tolist() == words
    with pytest.raises(
        ValueError, match="'encoder' must return one row per text, 110 rows"
    ):
        SyntheticIntents(60, 50, encoder=lambda texts: np.ones((3, 2)))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_users': 0}, "'num_users' must be an integer of at least 1"),
        ({'num_items': 7}, "'num_items' must be an integer of at least 8"),
        ({'num_intents': 25}, "'num_intents' must be from 1 to 24, got 25"),
        ({'noise': 1.0}, "'noise' must be at least 0 and below 1"),
        ({'val_ratio': 0.5, 'test_ratio': 0.5}, "'val_ratio \\+ test_ratio' must be"),
        ({'interactions_per_user': 0}, "'interactions_per_user' must be above 0"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        SyntheticIntents(**change)
