from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from torch_geometric.transforms import ToUndirected

from pyg_irllrec.transforms.intent_nodes import IntentNodes
from pyg_irllrec.utils import find_interaction_types
from tests.transforms.profile_data import NUM_ITEMS, RATES, same_training, split_data

TRAIN = [(0, 0), (0, 1), (1, 1), (2, 1), (2, 2), (2, 2), (3, 5)]
# Two directions, three items each; the last one has no text.
VECTORS = torch.tensor([[9.0, 0], [1, 0.1], [1, 0], [0, 1], [0.1, 2], [0, 0]])


def with_vectors(train=TRAIN, **options):
    data = split_data(train, **options)
    data['item'].intent = VECTORS
    return data


def dense(data, side, size):
    store = data[side, 'has', 'intent']
    out = torch.zeros(size, data['intent'].num_nodes)
    out[store.edge_index[0], store.edge_index[1]] = store.edge_weight
    return out


def test_items_share_the_node_of_their_cluster():
    out = IntentNodes(2, per_item=1)(with_vectors())
    assert out['intent'].x.shape == (2, 2)
    torch.testing.assert_close(out['intent'].x.norm(dim=1), torch.ones(2))
    item, intent = out['item', 'has', 'intent'].edge_index
    assert item.tolist() == [0, 1, 2, 3, 4]
    assert intent[0] == intent[1] == intent[2] != intent[3] == intent[4]
    assert torch.equal(out['item', 'has', 'intent'].edge_weight, torch.ones(5))
    assert 'intent' not in with_vectors().node_types


def test_the_formula():
    data = with_vectors()
    out = IntentNodes(2, per_item=2, temperature=0.5)(data)
    unit = torch.nn.functional.normalize(VECTORS)
    share = (unit @ out['intent'].x.t() / 0.5).softmax(dim=1)
    share[5] = 0
    torch.testing.assert_close(dense(out, 'item', NUM_ITEMS), share)
    of_user = torch.stack(
        [(share[0] + share[1]) / 2, share[1], (share[1] + share[2]) / 2, *share[[5, 5]]]
    )
    torch.testing.assert_close(dense(out, 'user', 5), of_user)


def test_only_the_largest_shares_are_edges():
    out = IntentNodes(4, per_item=2, per_user=1)(with_vectors())
    assert torch.bincount(out['item', 'has', 'intent'].edge_index[0]).max() == 2
    of_item = dense(out, 'item', NUM_ITEMS)
    torch.testing.assert_close(of_item.sum(dim=1), torch.tensor([1.0, 1, 1, 1, 1, 0]))
    expected = torch.stack(
        [of_item[[0, 1]].mean(0), of_item[1], of_item[[1, 2]].mean(0)]
    )
    user, intent = out['user', 'has', 'intent'].edge_index
    assert user.tolist() == [0, 1, 2]
    assert torch.equal(intent, expected.argmax(dim=1))


def test_users_by_their_own_vectors():
    data = with_vectors()
    data['user'].intent = VECTORS[[3, 0, 5, 1, 2]]
    out = IntentNodes(2, users_by='vectors', per_item=2)(data)
    of_item = dense(out, 'item', NUM_ITEMS)
    torch.testing.assert_close(dense(out, 'user', 5), of_item[[3, 0, 5, 1, 2]])
    data['user'].intent = torch.ones(5, 3)
    with pytest.raises(ValueError, match='one width for user and item, got 3 and 2'):
        IntentNodes(2, users_by='vectors')(data)


@given(same_training())
@settings(deadline=None, max_examples=20)
def test_held_out_interactions_change_no_edge(pair):
    for data in pair:
        data['item'].intent = VECTORS
    first, second = map(IntentNodes(3), pair)
    for side in ('user', 'item'):
        one, other = (data[side, 'has', 'intent'] for data in (first, second))
        assert torch.equal(one.edge_index, other.edge_index)
        assert torch.equal(one.edge_weight, other.edge_weight)


def test_the_same_seed_gives_the_same_nodes():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        first, second = (IntentNodes(3, seed=1)(with_vectors()) for _ in range(2))
    assert torch.equal(first['intent'].x, second['intent'].x)


@pytest.mark.parametrize('both', [False, True])
def test_intents_are_not_taken_for_interactions(both):
    data = ToUndirected()(with_vectors()) if both else with_vectors()
    expected = find_interaction_types(data)
    out = IntentNodes(2)(data)
    assert find_interaction_types(out) == expected
    if not both:
        out = ToUndirected()(out)
        assert find_interaction_types(out).edge_type == RATES


def test_data_that_was_not_split():
    data = with_vectors()
    del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    with pytest.raises(ValueError, match='apply SplitInteractions or RandomLinkSplit'):
        IntentNodes(2)(data)
    out = IntentNodes(2, unsplit=True)(data)
    assert torch.equal(
        dense(out, 'user', 5), dense(IntentNodes(2)(with_vectors()), 'user', 5)
    )


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match="'users_by' must be one of 'items', 'vectors'"
    ):
        IntentNodes(users_by='own')
    with pytest.raises(ValueError, match="'num_intents' must be at most 4, the number"):
        IntentNodes()(with_vectors())
    data = with_vectors()
    del data['item'].intent
    with pytest.raises(ValueError, match=r"'data' must hold data\['item'\].intent"):
        IntentNodes(2)(data)


def test_repr():
    assert repr(IntentNodes(users_by='vectors')) == "IntentNodes(users_by='vectors')"
