from __future__ import annotations

import math

import pytest
import torch
from torch.nn import Parameter
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import Backbone, BackboneOutput, LightGCN, Recommender
from pyg_irllrec.utils import bipartite_edge_index

USERS = [[4.0, 0], [3, 1], [0, 2], [0, 0]]
ITEMS = [[1.0, 0], [0, 1], [2, 1], [0.5, 0.5], [3, 0]]
TRAIN = torch.tensor([[0, 0, 1, 2, 0], [0, 1, 2, 1, 0]])  # One pair twice.


class Fixed(Backbone):
    """Embeddings that are given; the prototypes are the axes, of items longer ones."""

    def __init__(self, num_intents=2):
        super().__init__(len(USERS), len(ITEMS), 2, num_intents=num_intents)
        self.table = Parameter(torch.tensor(USERS + ITEMS))
        if num_intents:
            self.user_prototypes.weight.data = torch.eye(2, num_intents)
            self.item_prototypes.weight.data = 2 * torch.eye(2, num_intents)

    def encode(self, x, edge_index, edge_weight):
        noise = torch.randn_like(self.table) if self.training else 0
        return BackboneOutput(self.table + noise)


def build(**kwargs):
    edge_index = bipartite_edge_index(TRAIN, len(USERS), len(ITEMS))
    return Recommender(Fixed(**kwargs), edge_index)


def graph():
    data = HeteroData()
    data['user'].id = ['ann', 'bob', 'cy', 'di']
    data['user'].num_nodes, data['item'].num_nodes = len(USERS), len(ITEMS)
    data['user'].profile_text = ['likes space', 'space, love', 'wants love', '']
    data['user'].intent_text = ['Space: far away.', '', 'Love: love.', '']
    data['item'].text = ['space one', 'love two', 'space love', 'space three', 'space']
    data['user', 'rates', 'item'].edge_index = TRAIN
    return data


def test_shares_and_lifts():
    explain = IntentExplainer(build(), graph())
    assert explain.embedding('item').tolist() == ITEMS
    first = math.exp(4) / (math.exp(4) + 1)
    assert explain.share('user')[0].tolist() == pytest.approx([first, 1 - first])
    assert explain.share('user')[3].tolist() == [0.5, 0.5]
    first = math.exp(2) / (math.exp(2) + 1)
    assert explain.share('item')[0].tolist() == pytest.approx([first, 1 - first])
    lift = explain.lift('item')
    assert lift.mean(dim=0).tolist() == pytest.approx([1, 1])
    assert lift[1, 1] > 1 > lift[1, 0]


def test_prototypes_in_words():
    space, love = IntentExplainer(build(), graph(), num_nearest=2).prototypes('user')
    assert (space.side, space.number, space.nodes) == ('user', 0, [0, 1])
    assert space.words[0] == 'space' and love.words[0] == 'love'
    assert space.texts == ['likes space', 'space, love'] and love.nodes == [2, 3]
    # Where there is nothing to say of a node, nothing is made up.
    assert love.texts == ['wants love', '']
    assert space.share + love.share == pytest.approx(1)


def test_a_node_in_words():
    explain = IntentExplainer(build(), graph(), num_words=1)
    ann = explain.node('user', 0)
    assert (ann.side, ann.node, ann.id, ann.text) == ('user', 0, 'ann', 'likes space')
    assert ann.intents == 'Space: far away.'
    assert [each.prototype.number for each in ann.active_prototypes] == [0, 1]
    assert ann.active_prototypes[0].lift > 1 > ann.active_prototypes[1].lift
    assert ann.active_prototypes[0].share == explain.share('user')[0, 0].item()
    # More than others lean to it counts, not the share: all lean to space.
    even = explain.node('item', 3)
    assert explain.share('item')[3].tolist() == [0.5, 0.5]
    assert [each.prototype.words[0] for each in even.active_prototypes] == [
        'love',
        'space',
    ]
    item = explain.node('item', 1, num_prototypes=1)
    # Items have no ids of their own here, and no intents.
    assert (item.id, item.text, item.intents) == (1, 'love two', '')
    assert [each.prototype.words[0] for each in item.active_prototypes] == ['love']


def test_prototypes_of_the_same_words_are_one():
    model = build(num_intents=3)
    weight = model.backbone.user_prototypes.weight
    weight.data = torch.tensor([[1.0, 1, 0], [0, 0, 1]])
    active = IntentExplainer(model, graph()).node('user', 0).active_prototypes
    assert [each.prototype.number for each in active] == [0, 2]


def test_a_recommendation():
    explain = IntentExplainer(build(), graph(), num_nearest=1)
    told = explain.recommendation(0, 2)
    assert told.user.id == 'ann' and told.item.text == 'space love'
    # Item 4 has 12, this one 8; the items 0 and 1 are known to the user.
    assert told.score == 8 and told.rank == 2
    ((similar, cosine),) = told.similar
    assert similar.text == 'space one' and cosine == pytest.approx(2 / 5**0.5)
    # One that the user has chosen has no rank, and is not said to be like itself.
    own = explain.recommendation(0, 0)
    assert own.rank == 0 and [each.node for each, _ in own.similar] == [1]
    # A pair that is there twice is one item; what may not be recommended has no place.
    exclude = torch.cat([TRAIN, torch.tensor([[0], [4]])], dim=1)
    told = IntentExplainer(build(), graph(), exclude=exclude).recommendation(0, 2)
    assert told.rank == 1 and [each.node for each, _ in told.similar] == [0, 1]
    # A user without interactions.
    assert explain.recommendation(3, 0).similar == []


def test_the_rank_is_that_of_recommend():
    data = SyntheticIntents(40, 60, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index
    torch.manual_seed(0)
    backbone = LightGCN(40, 60, 8, num_intents=4, edge_dropout=0.3)
    model = Recommender(backbone, bipartite_edge_index(edges, 40, 60)).train()
    explain = IntentExplainer(model, data)
    assert model.training and backbone.training
    best = model.recommend(torch.arange(40), 5, exclude=edges)
    for user in (0, 7, 39):
        for rank, item in enumerate(best.item[user].tolist(), start=1):
            told = explain.recommendation(user, item)
            assert told.rank == rank
            assert told.score == pytest.approx(best.score[user, rank - 1].item())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_a_model_of_another_precision(dtype):
    data = SyntheticIntents(40, 60, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index
    torch.manual_seed(0)
    backbone = LightGCN(40, 60, 8, num_intents=4)
    model = Recommender(backbone, bipartite_edge_index(edges, 40, 60)).to(dtype)
    explain = IntentExplainer(model, data)
    assert explain.share('user').dtype == torch.float32
    assert explain.share('user').sum(dim=1).tolist() == pytest.approx([1] * 40)
    assert explain.recommendation(3, 17).rank >= 0


def test_a_prototype_that_nobody_has():
    model = build()
    model.backbone.user_prototypes.weight.data = torch.tensor([[1e4, -1e4], [1e4, 0]])
    model.backbone.table.data[3, 0] = 1
    explain = IntentExplainer(model, graph())
    assert explain.share('user')[:, 1].sum() == 0
    assert explain.lift('user').isfinite().all()
    assert explain.node('user', 0).active_prototypes[0].prototype.number == 0


def test_odd_arguments():
    data = graph()
    with pytest.raises(ValueError, match=r"'model' must have intents .*Fixed with num"):
        IntentExplainer(build(num_intents=0), data)
    with pytest.raises(ValueError, match='must hold texts, one of title, intent_text'):
        IntentExplainer(build(), data, sources=['title'])
    with pytest.raises(ValueError, match="'num_words' must be above 0"):
        IntentExplainer(build(), data, num_words=0)
    explain = IntentExplainer(build(), data)
    with pytest.raises(ValueError, match="'user' must be a node from 0 to 3, got 4"):
        explain.node('user', 4)
    with pytest.raises(ValueError, match="'item' must be a node from 0 to 4, got -1"):
        explain.recommendation(0, -1)
    with pytest.raises(ValueError, match="'side' must be"):
        explain.prototypes('film')
    data['user'].profile_text = data['user'].intent_text = ['', '1', '', '!']
    with pytest.raises(ValueError, match=r"data\['user'\]: .* must hold words"):
        IntentExplainer(build(), data).prototypes('user')
    broken = build()
    broken.backbone.table.data[1] = math.nan
    with pytest.raises(ValueError, match=r'user embeddings of model.* row 1'):
        IntentExplainer(broken, data)
    data['item'].num_nodes = 9
    with pytest.raises(ValueError, match="'data' must have the users and items"):
        IntentExplainer(build(), data)
