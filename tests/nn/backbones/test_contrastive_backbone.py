from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import ContrastiveBackbone
from pyg_irllrec.testing import BackboneTests

TRIPLETS = BackboneTests.triplets


class Spread(ContrastiveBackbone):
    """Contrast embeddings with themselves."""

    def contrast(self, output, triplets):
        return output.views[0].sum() / self.temperature


def test_the_contrast_is_weighted_where_there_are_views():
    model = Spread(6, 7, 4, contrast_weight=0.5, temperature=2.0)
    output = model(BackboneTests().edge_index)
    assert model.auxiliary_loss(output, TRIPLETS) == {}
    output = output._replace(views=(torch.ones(4),))
    assert model.auxiliary_loss(output, TRIPLETS) == {'contrast': torch.tensor(1.0)}
    with pytest.raises(ValueError, match=r"'triplets\[1\]' must hold ids of items"):
        model.auxiliary_loss(output, torch.tensor([[0], [-1], [1]]))
    model.contrast_weight = 0
    assert model.auxiliary_loss(output, TRIPLETS) == {}


def test_a_subclass_writes_contrast():
    model = ContrastiveBackbone(6, 7, 4)
    output = model(BackboneTests().edge_index)._replace(views=(torch.ones(4),))
    with pytest.raises(NotImplementedError):
        model.auxiliary_loss(output, TRIPLETS)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'contrast_weight': -1}, "'contrast_weight' must be at least 0, got -1"),
        ({'temperature': 0}, "'temperature' must be at least 1e-30, got 0"),
        ({'num_layers': 0}, "'num_layers' must be an integer of at least 1, got 0"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveBackbone(6, 7, **change)
