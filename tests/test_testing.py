from __future__ import annotations

import pytest
import torch
from torch_geometric import EdgeIndex

from pyg_irllrec.nn import BackboneOutput, LightGCN
from pyg_irllrec.testing import BackboneTests, replay_draws


def test_draws_come_in_order():
    first, second = torch.randn(2), torch.randn(2, 3)
    with replay_draws([first, second]):
        assert torch.equal(torch.rand(2), first)
        assert torch.equal(torch.randn((2, 3), dtype=torch.float64), second.double())
    assert not torch.equal(torch.rand(2), first)


def test_a_draw_that_does_not_fit():
    with pytest.raises(AssertionError, match='no draw is left'), replay_draws([]):
        torch.rand(1)
    with pytest.raises(AssertionError, match=r'has shape \(2,\), the next draw \(1,\)'):
        with replay_draws([torch.ones(1)]):
            torch.rand(2)
    with pytest.raises(AssertionError, match='1 draws were not used'):
        with replay_draws([torch.ones(1)]):
            pass


class Drawing(LightGCN):
    """Also draw in evaluation."""

    def encode(self, x, edge_index, edge_weight):
        output = super().encode(x, edge_index, edge_weight)
        noise = torch.rand(x.shape, dtype=x.dtype)
        return output._replace(embedding=output.embedding + noise)


class Unsorted(LightGCN):
    """Use weights in their original order."""

    def normalise(self, edge_index, edge_weight, dtype):
        index, weight = super().normalise(edge_index, edge_weight, dtype)
        return index, weight if edge_weight is None else edge_weight


class Detached(LightGCN):
    """Drop a part of the gradient."""

    def encode(self, x, edge_index, edge_weight):
        return super().encode(x + 0.5 * x.detach(), edge_index, edge_weight)


class Narrow(LightGCN):
    """Return too few columns."""

    def encode(self, x, edge_index, edge_weight):
        output = super().encode(x, edge_index, edge_weight)
        return BackboneOutput(output.embedding[:, :-1])


class Stateful(LightGCN):
    """Return different numbers in each call."""

    calls = 0

    def encode(self, x, edge_index, edge_weight):
        self.calls += 1
        output = super().encode(x, edge_index, edge_weight)
        return output._replace(embedding=output.embedding * self.calls)


class Deaf(LightGCN):
    """Ignore the features it is given."""

    def encode(self, x, edge_index, edge_weight):
        return super().encode(self.node_features(), edge_index, edge_weight)


class Stuck(LightGCN):
    """Store a tensor that does not move with the module."""

    def __init__(self, *args):
        super().__init__(*args)
        self.scale = torch.ones(1)


class Picky(LightGCN):
    """Return intents for one format only."""

    def forward(self, edge_index, edge_weight=None, x=None):
        output = super().forward(edge_index, edge_weight, x)
        if isinstance(edge_index, EdgeIndex):
            return output._replace(interaction_intent=output.embedding)
        return output


class Weightless(LightGCN):
    """Ignore given weights."""

    def forward(self, edge_index, edge_weight=None, x=None):
        if isinstance(edge_index, torch.Tensor) and edge_index.layout == torch.strided:
            edge_weight = None
        return super().forward(edge_index, edge_weight, x)


class Wide(LightGCN):
    """Fail for 32-bit ids."""

    def auxiliary_loss(self, output, triplets):
        if triplets.dtype == torch.int32:
            raise ValueError('ids must be wide')
        return {}


class Keeping(LightGCN):
    """Do not reset one parameter."""

    def __init__(self, *args):
        super().__init__(*args)
        self.scale = torch.nn.Parameter(torch.ones(1))


class Breaking(LightGCN):
    """Branch on a value, which breaks a compiled graph."""

    def encode(self, x, edge_index, edge_weight):
        if float(x.sum()) > 1e9:
            x = -x
        return super().encode(x, edge_index, edge_weight)


@pytest.mark.parametrize(
    ('backbone', 'test'),
    [
        (Narrow, 'shapes'),
        (Unsorted, 'adjacency_formats'),
        (Detached, 'gradients'),
        (Stateful, 'evaluation_without_randomness'),
        (Drawing, 'evaluation_without_randomness'),
        (Breaking, 'compile'),
        (Deaf, 'features_in_place_of_its_own'),
        (Stuck, 'devices'),
        (Picky, 'adjacency_formats'),
        (Weightless, 'adjacency_formats'),
        (Wide, 'batches'),
        (Keeping, 'reset_parameters'),
    ],
)
def test_the_tests_of_backbones_find_what_is_wrong(backbone, test):
    class Tests(BackboneTests):
        def build(self, *sizes):
            return backbone(*sizes)

    with pytest.raises(Exception) as caught:
        getattr(Tests(), f'test_{test}')()
    assert isinstance(
        caught.value,
        (AssertionError, ValueError, torch._dynamo.exc.TorchDynamoException),
    )
