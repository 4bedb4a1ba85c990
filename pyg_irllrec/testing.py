r"""Helpers for tests of models: recorded random draws, and the tests that each backbone
must pass."""

from __future__ import annotations

import copy
import io
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from torch import Tensor
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from pyg_irllrec.nn import Backbone, BackboneOutput, IRLLRec, Recommender
from pyg_irllrec.utils import bipartite_edge_index, plain_edge_index, symmetric_norm


@contextmanager
def replay_draws(draws: Sequence[Tensor]) -> Iterator[None]:
    r"""Make :func:`torch.rand` and :func:`torch.randn` return :obj:`draws` in order, so
    that a random model can be compared with recorded numbers.

    Args:
        draws (sequence of torch.Tensor): The tensors to return.

    Raises:
        AssertionError: If a call needs another shape, or the numbers of calls and draws
            differ.

    Example:
        >>> import torch
        >>> from pyg_irllrec.testing import replay_draws
        >>> with replay_draws([torch.ones(2), torch.zeros(2)]):
        ...     print(torch.rand(2), torch.randn(2))
        tensor([1., 1.]) tensor([0., 0.])
    """
    rest = list(draws)

    def next_draw(*size: Any, **kwargs: Any) -> Tensor:
        shape = torch.Size(size[0] if isinstance(size[0], Sequence) else size)
        assert rest, f'no draw is left for a call of shape {tuple(shape)}'
        draw = rest.pop(0)
        assert draw.shape == shape, (
            f'the call has shape {tuple(shape)}, the next draw {tuple(draw.shape)}'
        )
        return draw.to(dtype=kwargs.get('dtype'), device=kwargs.get('device'))

    with patch('torch.rand', next_draw), patch('torch.randn', next_draw):
        yield
    assert not rest, f'{len(rest)} draws were not used'


class BackboneTests:
    r"""The tests of a backbone, for pytest. Inherit from this class and implement
    :meth:`build`.

    They cover shapes, every adjacency format, gradients, precision, devices, copies and
    checkpoints, seeds, :obj:`reset_parameters`, :func:`torch.compile`, isolated nodes,
    odd batches, evaluation without randomness, and training, on its own and under
    :class:`~pyg_irllrec.nn.IRLLRec`.

    Example:
        >>> from pyg_irllrec.nn import LightGCN
        >>> from pyg_irllrec.testing import BackboneTests
        >>> class TestLightGCN(BackboneTests):
        ...     def build(self, num_users, num_items, embedding_dim):
        ...         return LightGCN(num_users, num_items, embedding_dim)
        >>> TestLightGCN().test_shapes()  # pytest runs this and all others
    """

    compiles: ClassVar[bool] = True
    """Whether the backbone must compile without graph breaks."""
    resets: ClassVar[bool] = True
    """Whether :meth:`~pyg_irllrec.nn.Backbone.reset_parameters` must give the
    parameters of a new backbone. A module in a :class:`~pyg_irllrec.nn.ModuleBackbone`
    may draw more random numbers when it is built than when it is reset."""

    num_users, num_items, embedding_dim = 6, 7, 4
    # The last user and the last item have no interactions.
    interactions = torch.tensor(
        [[0, 0, 0, 1, 1, 2, 3, 3, 4], [0, 1, 2, 0, 3, 4, 1, 5, 2]]
    )
    triplets = torch.tensor([[0, 3, 3, 4], [2, 1, 5, 2], [4, 0, 6, 0]])

    def build(self, num_users: int, num_items: int, embedding_dim: int) -> Backbone:
        r"""Build a small backbone with these sizes. A subclass implements this
        method."""
        raise NotImplementedError

    def backbone(self, seed: int = 0) -> Backbone:
        r"""Build a backbone with a seed."""
        torch.manual_seed(seed)
        return self.build(self.num_users, self.num_items, self.embedding_dim)

    @property
    def num_nodes(self) -> int:
        r"""The number of users and items."""
        return self.num_users + self.num_items

    @property
    def edge_index(self) -> Tensor:
        r"""The graph from :func:`~pyg_irllrec.utils.bipartite_edge_index`."""
        graph: Tensor = bipartite_edge_index(
            self.interactions, self.num_users, self.num_items
        )
        return graph

    def texts(self) -> dict[str, Tensor]:
        r"""Return text embeddings of profiles and intents."""
        generator = torch.Generator().manual_seed(0)
        return {
            kind: torch.randn(self.num_nodes, 3, generator=generator)
            for kind in ('profile', 'intent')
        }

    def recommender(self, dtype: torch.dtype = torch.float32) -> Recommender:
        r"""Return :class:`~pyg_irllrec.nn.IRLLRec` with the backbone, without intents
        if the backbone has none."""
        backbone, texts = self.backbone(), self.texts()
        intent = texts['intent'] if backbone.has_intents else None
        model = IRLLRec(
            backbone, self.edge_index, profile=texts['profile'], intent=intent
        )
        return model.to(dtype)

    def loss(self, model: Recommender, seed: int = 0) -> Tensor:
        r"""Return the total loss for a seed."""
        torch.manual_seed(seed)
        return model.loss(self.triplets, update_teacher=False).total

    def test_shapes(self) -> None:
        r"""Outputs have one row per node and the right width."""
        backbone, shape = self.backbone(), (self.num_nodes, self.embedding_dim)
        for mode in (True, False):
            output = backbone.train(mode)(self.edge_index)
            assert isinstance(output, BackboneOutput)
            assert output.embedding.shape == shape
            assert (
                output.interaction_intent is None
                or output.interaction_intent.shape == shape
            )
            assert all(view.size(-1) == self.embedding_dim for view in output.views)
            has_intents = output.interaction_intent is not None
            assert backbone.has_intents == has_intents, 'has_intents is wrong'
            assert backbone.num_intents > 0 or not has_intents
        torch.testing.assert_close(
            backbone.get_embedding(self.edge_index), output.embedding
        )

    def test_features_in_place_of_its_own(self) -> None:
        r"""Other features change the embeddings; its own features do not."""
        backbone = self.backbone().eval()
        features = backbone.node_features()
        if features is None:
            raise unittest.SkipTest('this backbone has no node features')
        expected = backbone(self.edge_index)
        same = backbone(self.edge_index, x=features)
        torch.testing.assert_close(same.embedding, expected.embedding)
        other = backbone(self.edge_index, x=features.flip(0))
        assert not torch.allclose(other.embedding, expected.embedding), 'x is ignored'

    def test_adjacency_formats(self) -> None:
        r"""Every format of the graph gives the same numbers, with weights given or
        computed."""
        weight = symmetric_norm(self.edge_index, self.num_nodes)
        self._check_formats(weight, computed=True)
        generator = torch.Generator().manual_seed(0)
        self._check_formats(weight * torch.rand(weight.shape, generator=generator))

    def _check_formats(self, weight: Tensor, computed: bool = False) -> None:
        backbone = self.backbone().eval()
        expected = _tensors(backbone(self.edge_index, weight))
        formats = self._formats(weight)
        if computed:
            index = plain_edge_index(self.edge_index)
            formats |= {
                'no weights': (index, None),
                'EdgeIndex': (self.edge_index, None),
            }
        for name, (graph, given) in formats.items():
            found = _tensors(backbone.eval()(graph, given))
            assert len(found) == len(expected), f'{name} gives other outputs'
            assert all(
                torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
                for ours, theirs in zip(found, expected)
            ), f'{name} gives other numbers'
            assert backbone.train()(graph, given).embedding.isfinite().all(), name

    def _formats(self, weight: Tensor) -> dict[str, tuple[Any, Tensor | None]]:
        graph = self.edge_index
        index = plain_edge_index(graph)
        size = (self.num_nodes, self.num_nodes)
        coo = torch.sparse_coo_tensor(index.flip(0), weight, size).coalesce()
        formats: dict[str, tuple[Any, Tensor | None]] = {
            'EdgeIndex with weights': (graph, weight),
            'edge_index with weights': (index, weight),
            'edge_index in another order': (index.flip(1), weight.flip(0)),
            'edge_index of 32-bit ids': (graph.as_subclass(Tensor).int(), weight),
            'COO': (coo, None),
            'CSR': (coo.to_sparse_csr(), None),
            'CSC': (coo.to_sparse_csc(), None),
        }
        if WITH_TORCH_SPARSE:
            sparse = SparseTensor(
                row=index[1], col=index[0], value=weight, sparse_sizes=size
            )
            formats['SparseTensor'] = (sparse, None)
        return formats

    def test_gradients(self) -> None:
        r"""Every parameter has a gradient, which equals the slope of the loss."""
        model = self.recommender(torch.float64)
        weights = list(model.parameters())
        grads = torch.autograd.grad(self.loss(model), weights)
        generator = torch.Generator().manual_seed(1)
        steps = [
            1e-6 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            for weight in weights
        ]
        expected = sum((grad * step).sum() for grad, step in zip(grads, steps))
        ends = []
        for sign in (1, -1):
            moved = copy.deepcopy(model)
            with torch.no_grad():
                for weight, step in zip(moved.parameters(), steps):
                    weight.add_(step, alpha=sign)
                ends.append(self.loss(moved))
        slope = (ends[0] - ends[1]) / 2
        torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-13)

    def test_precision(self) -> None:
        r"""Results in float64 equal those in float32; those under bfloat16 autocast are
        close."""
        model = self.recommender().eval()
        single = self.loss(model)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            mixed = self.loss(model)
        torch.testing.assert_close(mixed, single, rtol=3e-2, atol=3e-2)
        mixed.backward()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            trained = model.train().loss(self.triplets)
            embeddings = model.get_embeddings()
        assert trained.total.isfinite(), 'training under autocast is not finite'
        for embedding in embeddings:
            assert embedding.dtype == torch.float32, (
                'autocast changes the dtype of embeddings'
            )
        model.eval()
        for name, weight in model.named_parameters():
            assert weight.grad is not None, f'{name} gets no gradient'
            assert weight.grad.isfinite().all(), f'the gradient of {name} is not finite'
        double = self.loss(model.double())
        assert double.dtype == torch.float64
        torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-5)

    def test_devices(self) -> None:
        r"""Every tensor is a parameter or a buffer, and a GPU, if there is one, gives
        the same numbers."""
        for module in self.backbone().modules():
            stray = [name for name, value in vars(module).items() if _is_tensor(value)]
            assert not stray, f'{stray} would not move with the backbone'
        if not torch.cuda.is_available():
            raise unittest.SkipTest('there is no GPU')
        model = self.recommender().eval()
        expected = self.loss(model)
        triplets = self.triplets.to('cuda')
        total = model.to('cuda').loss(triplets, update_teacher=False).total
        torch.testing.assert_close(total.cpu(), expected, rtol=1e-4, atol=1e-5)
        total.backward()

    def test_copies_and_checkpoints(self) -> None:
        r"""Copies, and backbones loaded from a state dict, give the same embeddings."""
        backbone = self.backbone().eval()
        expected = backbone.get_embedding(self.edge_index)
        copied = copy.deepcopy(backbone).get_embedding(self.edge_index)
        torch.testing.assert_close(copied, expected, rtol=0, atol=0)
        file = io.BytesIO()
        torch.save(backbone.state_dict(), file)
        file.seek(0)
        other = self.backbone(seed=1).eval()
        other.load_state_dict(torch.load(file, weights_only=True))
        torch.testing.assert_close(
            other.get_embedding(self.edge_index), expected, rtol=0, atol=0
        )

    def test_seeds(self) -> None:
        r"""The same seed gives the same weights and the same loss."""
        first, second = self.recommender(), self.recommender()
        for ours, theirs in zip(first.parameters(), second.parameters()):
            assert torch.equal(ours, theirs)
        assert torch.equal(self.loss(first), self.loss(second))

    def test_reset_parameters(self) -> None:
        r"""With the same seed, a used backbone gets the parameters of a new one."""
        new, used = self.backbone(), self.backbone(seed=1)
        with torch.no_grad():
            for weight in used.parameters():
                weight.add_(1)
        for backbone in (used,) if self.resets else (new, used):
            torch.manual_seed(0)
            backbone.reset_parameters()
        state = used.state_dict()
        for name, value in new.state_dict().items():
            assert torch.equal(state[name], value), f'{name} is not restored'

    def test_evaluation_without_randomness(self) -> None:
        r"""Evaluation draws no random numbers and changes no parameter or buffer."""
        model = self.recommender().eval()
        before = copy.deepcopy(model.state_dict())
        state = torch.get_rng_state()
        first, second = self.loss(model, seed=1), self.loss(model, seed=2)
        assert torch.equal(first, second)
        torch.set_rng_state(state)
        model.get_embeddings()
        model.backbone(self.edge_index)
        assert torch.equal(torch.get_rng_state(), state), 'evaluation draws'
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name]), f'evaluation changes {name}'

    def test_compile(self) -> None:
        r"""A training step and scores compile without graph breaks and give the same
        numbers."""
        if not self.compiles:
            raise unittest.SkipTest('this backbone is not expected to compile')
        torch._dynamo.reset()
        model = Recommender(self.backbone(), self.edge_index)
        weights = list(model.backbone.parameters())

        def step(triplets: Tensor) -> Tensor:
            output = model.backbone(model.edge_index, model.edge_weight)
            terms = model._backbone_terms(output, triplets)
            total = torch.stack(list(terms.values())).sum()
            intent = output.interaction_intent
            return total if intent is None else total + intent.square().mean()

        def run(step: Callable[[Tensor], Tensor]) -> list[Tensor]:
            torch.manual_seed(0)
            total = step(self.triplets)
            grads = torch.autograd.grad(total, weights, allow_unused=True)
            return [total, *(grad for grad in grads if grad is not None)]

        found = run(torch.compile(step, fullgraph=True, backend='aot_eager'))
        torch.testing.assert_close(found, run(step), rtol=1e-4, atol=1e-5)
        score = torch.compile(model.eval(), fullgraph=True, backend='aot_eager')
        torch.testing.assert_close(
            score(self.interactions), model(self.interactions), rtol=1e-4, atol=1e-5
        )

    def test_isolated_nodes(self) -> None:
        r"""Nodes without edges get finite embeddings and gradients."""
        model = self.recommender()
        isolated = torch.tensor([[self.num_users - 1], [self.num_items - 1], [0]])
        total = model.loss(isolated).total
        total.backward()
        assert total.isfinite()
        for side in model.eval().get_embeddings():
            assert side.isfinite().all()
        for name, weight in model.named_parameters():
            assert weight.grad is None or weight.grad.isfinite().all(), name

    def test_batches(self) -> None:
        r"""The loss accepts one triplet, repeated triplets and 32-bit ids."""
        model = self.recommender()
        for triplets in (
            self.triplets[:, :1],
            self.triplets[:, :1].repeat(1, 3),
            self.triplets.int(),
        ):
            total = model.loss(triplets).total
            total.backward()
            assert total.isfinite()

    def test_trains(self) -> None:
        r"""A few steps lower the loss, with and without texts."""
        plain = Recommender(self.backbone(), self.edge_index)
        for model in (plain, self.recommender()):
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
            losses = []
            for _ in range(10):
                optimizer.zero_grad()
                total = self.loss(model)
                total.backward()
                optimizer.step()
                losses.append(total.item())
            assert losses[-1] < losses[0]
        found = plain.recommend(torch.arange(self.num_users), 3).item
        assert found.shape == (self.num_users, 3)


def _tensors(output: BackboneOutput) -> list[Tensor]:
    return [
        output.embedding,
        *([] if output.interaction_intent is None else [output.interaction_intent]),
        *output.views,
    ]


def _is_tensor(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_tensor, value))
    return isinstance(value, Tensor)
