from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule

RATES = ('user', 'rates', 'item')


def test_masks_training_items_in_validation_and_test():
    data = SyntheticIntents(40, 30)[0]
    module = InteractionDataModule(data, batch_size=16)
    assert module.train_dataloader().batch_size == 16
    for loader, label in (
        (module.val_dataloader(), data[RATES].val_edge_label_index),
        (module.test_dataloader(), data[RATES].test_edge_label_index),
    ):
        (batch,) = loader
        assert len(loader) == 1
        assert batch.user.tolist() == label[0].unique().tolist()
        found = torch.stack([batch.user[batch.label[0]], batch.label[1]])
        assert set(map(tuple, found.t().tolist())) == set(
            map(tuple, label.t().tolist())
        )
        hidden = torch.stack([batch.user[batch.exclude[0]], batch.exclude[1]])
        train = set(map(tuple, data[RATES].edge_index.t().tolist()))
        assert set(map(tuple, hidden.t().tolist())) <= train


@pytest.mark.parametrize(
    ('split', 'name'),
    [
        ('edge_index', 'train'),
        ('val_edge_label_index', 'val'),
        ('test_edge_label_index', 'test'),
    ],
)
def test_an_empty_split(split, name):
    data = SyntheticIntents(40, 30)[0]
    data[RATES][split] = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(
        ValueError, match=f"'data' must hold {name} interactions, got none"
    ):
        InteractionDataModule(data)
