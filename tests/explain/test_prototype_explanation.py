from __future__ import annotations

import pytest
import torch

from pyg_irllrec.explain import IntentExplainer
from tests.explain.data import build, graph


def test_prototypes_in_words():
    space, love = IntentExplainer(build(), graph(), num_nearest=2).prototypes('user')
    assert (space.side, space.number, space.nodes) == ('user', 0, [0, 1])
    assert space.words[0] == 'space' and love.words[0] == 'love'
    assert space.texts == ['likes space', 'space, love'] and love.nodes == [2, 3]
    # A node without a text has an empty text.
    assert love.texts == ['wants love', '']
    assert space.share + love.share == pytest.approx(1)


def test_a_prototype_without_any_share():
    model = build()
    model.backbone.user_prototypes.weight.data = torch.tensor([[1e4, -1e4], [1e4, 0]])
    model.backbone.table.data[3, 0] = 1
    explain = IntentExplainer(model, graph())
    assert explain.share('user')[:, 1].sum() == 0
    assert explain.lift('user').isfinite().all()
    assert explain.node('user', 0).active_prototypes[0].prototype.number == 0
