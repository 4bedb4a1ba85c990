from __future__ import annotations

import pytest
import torch

from pyg_irllrec.distributed import DistributedLoss
from tests.distributed.models import (
    BATCH,
    NAMES,
    build,
    rows_of_ranks,
    shared_steps,
    steps,
)


@pytest.fixture(scope='module')
def alone():
    """What one process finds without any sharing."""
    models = {name: build(name).train() for name in NAMES}
    return {name: steps(model.loss, model) for name, model in models.items()}


@pytest.mark.parametrize('num_ranks', [1, 2, 3, 4])
def test_loss_and_gradients_are_those_of_one_process(ranks, alone, num_ranks):
    for found in ranks(num_ranks, shared_steps, NAMES):
        for name in NAMES:
            for ours, expected in zip(found[name], alone[name], strict=True):
                torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_without_processes_one_sentence():
    with pytest.raises(ValueError, match="'process_group' must be initialized"):
        DistributedLoss(build('exact'))


def test_ranks_share_rows(ranks):
    """Nodes of the batch, and all of them, pass the towers; the rows of two terms over
    three columns, and all nodes, are placed."""
    found = ranks(4, rows_of_ranks)
    nodes = BATCH[0].unique().numel() + BATCH[1:].unique().numel()
    for towers, placed in found:
        assert max(towers) <= 6 and max(placed) <= 6
    assert [sum(towers) for towers in zip(*(each[0] for each in found))] == [nodes, 21]
    placed = [sum(rows) for rows in zip(*(each[1] for each in found))]
    assert placed == [7] * 6 + [21]
