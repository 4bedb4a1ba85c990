from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import softmax_loss
from pyg_irllrec.nn import SoftmaxLoss
from pyg_irllrec.utils import UserItems

TRIPLETS = torch.tensor([[0, 2, 0], [1, 3, 0], [4, 4, 4]])
USER, ITEM = torch.randn(3, 2), torch.randn(5, 2)


@pytest.mark.parametrize('known', [None, 'batch', UserItems(TRIPLETS[:2], 3, 5)])
def test_is_the_functional(known):
    options = {'temperature': 0.3, 'normalize': False, 'known': known}
    count = torch.tensor([3, 0, 1, 2, 4])
    loss = SoftmaxLoss(popularity_weight=0.5, popularity=count, **options)
    bias = -0.5 * (1 + count).log()
    expected = softmax_loss(USER, ITEM, TRIPLETS[:2], item_bias=bias, **options)
    assert torch.equal(loss(USER, ITEM, TRIPLETS), expected)
    assert not loss.state_dict()
    assert 'temperature=0.3, normalize=False' in repr(loss)


def test_defaults_mask_the_batch():
    expected = softmax_loss(USER, ITEM, TRIPLETS, temperature=0.1, known='batch')
    assert torch.equal(SoftmaxLoss()(USER, ITEM, TRIPLETS), expected)


def test_draws_items():
    options = {'known': 'batch', 'num_samples': 2, 'sample_weight': torch.rand(5)}
    loss = SoftmaxLoss(**options)
    torch.manual_seed(0)
    found = loss(USER, ITEM, TRIPLETS)
    torch.manual_seed(0)
    expected = softmax_loss(USER, ITEM, TRIPLETS, temperature=0.1, **options)
    assert torch.equal(found, expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'known' must be UserItems, 'batch' or None"):
        SoftmaxLoss(known='all')
    with pytest.raises(ValueError, match="'triplets' must have shape"):
        SoftmaxLoss()(USER, ITEM, TRIPLETS[:2])
    with pytest.raises(ValueError, match="'known' must have 3 users and 5 items"):
        SoftmaxLoss(known=UserItems(TRIPLETS[:2], 3, 6))(USER, ITEM, TRIPLETS)
    with pytest.raises(ValueError, match=r"'sample_weight' must have shape \(5,\)"):
        options = {'num_samples': 2, 'sample_weight': torch.ones(4)}
        SoftmaxLoss(**options)(USER, ITEM, TRIPLETS)
    with pytest.raises(ValueError, match="'popularity' must be the number of inter"):
        SoftmaxLoss(popularity_weight=0.5)
    with pytest.raises(
        ValueError, match=r"'popularity_weight' must be a number from -10 to"
    ):
        SoftmaxLoss(popularity_weight=float('nan'))
    with pytest.raises(ValueError, match="'popularity' must be at least 0"):
        SoftmaxLoss(popularity=torch.tensor([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"'popularity' must have shape \(5,\)"):
        SoftmaxLoss(popularity=torch.ones(4))(USER, ITEM, TRIPLETS)
