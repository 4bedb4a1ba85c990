from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import info_nce
from pyg_irllrec.nn import PairwiseAlignmentLoss


@pytest.fixture
def nodes() -> tuple[Tensor, Tensor]:
    return torch.randn(9, 4, dtype=torch.float64), torch.randn(
        9, 4, dtype=torch.float64
    )


INDEX = torch.tensor([3, 1, 3, 8, 1, 1])
UNIQUE = torch.tensor([1, 3, 8])


@pytest.mark.parametrize('negatives', ['batch', 'all'])
@pytest.mark.parametrize('duplicates', [False, True])
def test_the_nodes_in_the_denominator(nodes, negatives, duplicates):
    embedding, text = nodes
    loss = PairwiseAlignmentLoss(0.2, negatives, duplicates)(embedding, text, INDEX)
    rows = INDEX if duplicates else UNIQUE
    keys = text if negatives == 'all' else text[rows]
    expected = info_nce(embedding[rows], text[rows], keys, temperature=0.2)
    torch.testing.assert_close(loss, expected)


def test_all_nodes_by_default(nodes):
    torch.testing.assert_close(
        PairwiseAlignmentLoss()(*nodes), info_nce(*nodes, temperature=0.2)
    )


@pytest.mark.parametrize('duplicates', [False, True])
def test_gradients(nodes, duplicates):
    inputs = [value.requires_grad_() for value in nodes]
    loss = PairwiseAlignmentLoss(0.5, duplicates=duplicates)
    assert torch.autograd.gradcheck(lambda x, y: loss(x, y, INDEX), inputs)


def test_compiles_without_graph_breaks(nodes):
    loss = PairwiseAlignmentLoss()
    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*nodes, INDEX), loss(*nodes, INDEX))


def test_repr_and_wrong_arguments():
    expected = "(temperature=0.2, negatives='all', duplicates=True, impl='chunked')"
    assert expected in repr(PairwiseAlignmentLoss(0.2, 'all', True, 'chunked'))
    with pytest.raises(ValueError, match="'negatives' must be one of 'batch', 'all'"):
        PairwiseAlignmentLoss(negatives='some')
    with pytest.raises(ValueError, match="'temperature' must be at least 1e-30, got 0"):
        PairwiseAlignmentLoss(temperature=0)
    with pytest.raises(ValueError, match="'temperature' must be at least 1e-30, got 1"):
        PairwiseAlignmentLoss(temperature=1e-40)
    with pytest.raises(ValueError, match="'temperature' must be a number, got a Tens"):
        PairwiseAlignmentLoss(temperature=torch.tensor(0.2))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'embedding': torch.randn(9)}, "'embedding' must be a matrix"),
        ({'text': torch.randn(9, 3)}, "'text' must have the shape of 'embedding'"),
        ({'text': torch.ones(9, 4).long()}, "'text' must hold floating-point numbers"),
        (
            {'index': torch.tensor([-1])},
            "'index' must hold numbers from 0 to 8, got",
        ),
        ({'index': torch.tensor([[1]])}, "'index' must be a vector"),
    ],
)
def test_wrong_tensors(change, message):
    arguments = {'embedding': torch.randn(9, 4), 'text': torch.randn(9, 4), **change}
    with pytest.raises(ValueError, match=message):
        PairwiseAlignmentLoss()(**arguments)


def test_half_precision_texts_do_not_weigh_in_half_precision():
    nodes = torch.randn(2, 300, 4)
    index = torch.arange(300)
    loss = PairwiseAlignmentLoss()
    text = nodes[1].bfloat16()
    expected = loss(nodes[0], text.float(), index)
    torch.testing.assert_close(loss(nodes[0], text, index), expected)


def test_the_implementation_is_the_one_that_was_chosen(nodes):
    """The chunked one has no second derivatives; the default for small inputs has."""
    loss = PairwiseAlignmentLoss(impl='chunked')
    for index in (None, INDEX):
        x = nodes[0].clone().requires_grad_()
        with pytest.raises(RuntimeError, match="impl='chunked' has first derivatives"):
            torch.autograd.grad(loss(x, nodes[1], index), x, create_graph=True)
