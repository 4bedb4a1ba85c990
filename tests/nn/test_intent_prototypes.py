from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import IntentPrototypes


def test_mixes_prototypes_by_their_shares():
    prototypes = IntentPrototypes(4, 3)
    assert str(prototypes) == 'IntentPrototypes(embedding_dim=4, num_intents=3)'
    x = torch.randn(5, 4)
    share = prototypes.assign(x)
    assert share.shape == (5, 3)
    torch.testing.assert_close(share, (x @ prototypes.weight).softmax(dim=-1))
    torch.testing.assert_close(prototypes(x), share @ prototypes.weight.t())


def test_with_a_temperature_lengths_do_not_count():
    prototypes = IntentPrototypes(4, 3, temperature=0.2)
    assert str(prototypes).endswith('temperature=0.2)')
    x = torch.randn(5, 4)
    share = prototypes.assign(x)
    cosine = torch.nn.functional.cosine_similarity(
        x.unsqueeze(1), prototypes.weight.t().unsqueeze(0), dim=2
    )
    torch.testing.assert_close(share, (cosine / 0.2).softmax(dim=-1))
    torch.testing.assert_close(prototypes(x), share @ prototypes.weight.t())
    torch.testing.assert_close(prototypes.assign(9 * x), share)
    assert prototypes.assign(torch.zeros(1, 4)).std() == 0


@pytest.mark.parametrize('temperature', [0.0, -1.0, 'x', float('nan')])
def test_wrong_temperatures(temperature):
    with pytest.raises(ValueError, match="'temperature' must be"):
        IntentPrototypes(4, 3, temperature=temperature)


def test_seeded():
    torch.manual_seed(1)
    first = IntentPrototypes(4, 3)
    torch.manual_seed(1)
    assert torch.equal(first.weight, IntentPrototypes(4, 3).weight)


@pytest.mark.parametrize(('dim', 'number'), [(0, 3), (4, 0)])
def test_wrong_sizes(dim, number):
    with pytest.raises(ValueError, match='must be an integer of at least 1, got 0'):
        IntentPrototypes(dim, number)


def test_nodes_of_another_width():
    prototypes = IntentPrototypes(8, 2)
    for call in (prototypes, prototypes.assign, prototypes.logits):
        for x, got in ((torch.randn(3, 4), r'shape \(3, 4\)'), ([1.0], 'list')):
            with pytest.raises(ValueError, match=f"'x' .* 8 columns, got {got}"):
                call(x)
