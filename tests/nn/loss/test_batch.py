from __future__ import annotations

import torch

from pyg_irllrec.nn.loss._batch import make_batch

IDS = torch.tensor([[0, 0, 1], [2, 1, 2], [0, 3, 3]])


def test_a_node_counts_once_in_its_row():
    batch = make_batch(IDS, 2, torch.float64)
    assert batch.nodes.tolist() == [0, 0, 1, 4, 3, 4, 2, 5, 5]
    assert batch.once is not None and batch.share is not None
    assert batch.once.tolist() == [1, 0, 1, 1, 1, 0, 1, 1, 0]
    assert torch.equal(batch.share, batch.once / 2)
    x = torch.arange(6.0).view(6, 1)
    assert torch.equal(batch.take(x).flatten(), batch.nodes.float())


def test_first_rows():
    batch = make_batch(IDS, 2, torch.float32)
    expected = make_batch(IDS[:2], 2, torch.float32)
    for found, part in zip(batch.first_rows(2), expected):
        assert torch.equal(torch.as_tensor(found), torch.as_tensor(part))
    assert make_batch(IDS, 2, None).first_rows(2).once is None
