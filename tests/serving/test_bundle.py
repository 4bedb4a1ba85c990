from __future__ import annotations

import pytest
import torch

from pyg_irllrec.serving import Bundle
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.typing import RATES
from tests.serving.bundles import bare_bundle, plain_bundle, small_data, small_model


def test_keeps_ids_titles_and_interactions():
    bundle = plain_bundle()
    assert bundle.users[2] == 'user-002' and bundle.items.title(3).endswith('Book 3')
    assert not bundle.model.training
    store = bundle.data[RATES]
    held_out = store.val_edge_label_index, store.test_edge_label_index
    count = store.edge_index.size(1) + sum(each.size(1) for each in held_out)
    assert bundle.seen.item.numel() == count
    assert bare_bundle().users[2] == 2


def test_fitting_the_encoder_again_changes_no_bundle():
    data, encoder = small_data()
    bundle = Bundle(small_model(data, alignment='none'), data, encoder=encoder)
    before = bundle.encoder(['baking bread'])
    encoder.fit(['others', 'words'])
    assert (bundle.encoder(['baking bread']) == before).all()


def test_repr():
    wanted = 'Bundle(IRLLRec, num_users=60, num_items=40, num_interactions=397)'
    assert repr(plain_bundle()) == wanted


def test_seen_interactions_can_be_given():
    data, _ = small_data()
    seen = torch.tensor([[0, 1], [5, 7]])
    bundle = Bundle(small_model(data), data, seen=seen)
    assert bundle.seen.item.tolist() == [5, 7]


def test_moves_to_a_device():
    bundle = plain_bundle()
    assert bundle.to('cpu') is bundle
    with pytest.raises(ValueError, match="'device' must be available on this"):
        bundle.to('tpu')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
def test_on_a_gpu():
    bundle = plain_bundle()
    moved = bundle.to('cuda')
    users = torch.arange(60)
    torch.testing.assert_close(
        moved.ranker.score(users.cuda()).cpu(), bundle.ranker.score(users)
    )
    assert bundle.model.device.type == 'cpu'


def more_users():
    data, _ = small_data()
    data['user'].num_nodes += 1
    return data


def fewer_edges():
    data, _ = small_data()
    data[RATES].edge_index = data[RATES].edge_index[:, 1:]
    return data


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'model': 3}, "'model' must be a Recommender"),
        ({'data': 3}, "'data'"),
        ({'encoder': 3}, "'encoder' must be callable"),
        ({'encoder': TfidfEncoder()}, r"'encoder' must be .* that is not fitted"),
        ({'metrics': [0.5]}, "'metrics' must be a dictionary from names"),
        ({'metrics': {'recall': 'x'}}, "'metrics' must be a dictionary from names"),
        ({'seen': torch.tensor([[60], [0]])}, r"'seen\[0\]"),
        ({'data': more_users}, "'data' must have the users and items of 'model'"),
        (
            {'data': fewer_edges},
            "the 235 interactions in the graph of 'model', got 234",
        ),
    ],
)
def test_wrong_arguments(given, message):
    data, _ = small_data()
    if callable(given.get('data')):
        given = {'data': given['data']()}
    with pytest.raises(ValueError, match=message):
        Bundle(**({'model': small_model(data, alignment='none'), 'data': data} | given))
