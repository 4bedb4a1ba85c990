from __future__ import annotations

import torch

from pyg_irllrec.explain import IntentExplainer
from tests.explain.data import build, graph


def test_a_node_in_words():
    explain = IntentExplainer(build(), graph(), num_words=1)
    ann = explain.node('user', 0)
    assert (ann.side, ann.node, ann.id, ann.text) == ('user', 0, 'ann', 'likes space')
    assert ann.intents == 'Space: far away.'
    assert [each.prototype.number for each in ann.active_prototypes] == [0, 1]
    assert ann.active_prototypes[0].lift > 1 > ann.active_prototypes[1].lift
    assert ann.active_prototypes[0].share == explain.share('user')[0, 0].item()
    # Lift ranks the prototypes: the shares are equal, but most items have more space.
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


def test_a_title_comes_before_other_texts():
    data = graph()
    data['item'].title = ['The One', '', 'Three', 'Four', 'Five']
    explain = IntentExplainer(build(), data)
    assert explain.node('item', 0).text == 'The One'
    assert explain.node('item', 1).text == 'love two'


def test_prototypes_with_the_same_words_count_once():
    model = build(num_intents=3)
    weight = model.backbone.user_prototypes.weight
    weight.data = torch.tensor([[1.0, 1, 0], [0, 0, 1]])
    active = IntentExplainer(model, graph()).node('user', 0).active_prototypes
    assert [each.prototype.number for each in active] == [0, 2]
