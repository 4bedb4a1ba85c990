from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.distributed import ShardedGraph, ShardedLightGCN
from pyg_irllrec.functional import bpr_loss
from pyg_irllrec.nn import LightGCN, PairwiseAlignmentLoss
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm
from tests.distributed.ranks import Ranks, own_share
from tests.distributed.shards import ITEMS, USERS, draw_pairs, own_nodes, whole

STEPS, DIM, WIDTH = 3, 4, 6
CASES = [('batch', 'ring'), ('all', 'ring'), ('all', 'moments')]


def weights() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(USERS + ITEMS, DIM, generator=generator)


def texts() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(USERS + ITEMS, WIDTH, generator=generator)


def triplets() -> Tensor:
    user, item = draw_pairs()[:, :7]
    return torch.stack([user, item, item.flip(0)])


def projector(seed: int) -> torch.nn.Linear:
    torch.manual_seed(seed)
    return torch.nn.Linear(WIDTH, DIM)


def train(mesh: DeviceMesh, negatives: str, impl: str) -> tuple[list[float], Tensor]:
    pairs = own_share(mesh, draw_pairs(), 1)
    graph = ShardedGraph(pairs, USERS, ITEMS, mesh)
    model = ShardedLightGCN(
        graph,
        DIM,
        num_layers=2,
        text=own_nodes(graph, texts()),
        projector=projector(mesh.get_rank()),  # That of the first rank counts.
        text_weight=0.5,
        temperature=0.5,
        negatives=negatives,
        impl=impl,
    )
    with torch.no_grad():
        own = own_nodes(graph, weights())
        own_users, own_items = own.tensor_split([len(model.users.own)])
        model.users.own.copy_(own_users)
        model.items.own.copy_(own_items)
    optimizer = torch.optim.Adam(model.parameter_groups(), lr=0.05)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model.loss(own_share(mesh, triplets(), 1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model().detach()


def train_whole(negatives: str, impl: str) -> tuple[Tensor, Tensor]:
    """The same with what else the package has."""
    model = LightGCN(USERS, ITEMS, DIM, num_layers=2)
    users, items = weights().split([USERS, ITEMS])
    with torch.no_grad():
        model.user_embedding.weight.copy_(users)
        model.item_embedding.weight.copy_(items)
    tower = projector(0)
    align = PairwiseAlignmentLoss(
        0.5,
        duplicates=True,
        negatives=negatives,
        impl='eager' if impl == 'ring' else impl,
    )
    adj = bipartite_edge_index(draw_pairs(), USERS, ITEMS)
    weight = symmetric_norm(adj, USERS + ITEMS)
    trained = [*model.parameters(), *tower.parameters()]
    optimizer = torch.optim.Adam(trained, lr=0.05)
    user, item, negative = triplets()
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        z = model(adj, weight).embedding.split([USERS, ITEMS])
        text = tower(texts()).split([USERS, ITEMS])
        loss = bpr_loss(z[0][user], z[1][item], z[1][negative])
        sides = zip(z, text, (user, item))
        loss = loss + 0.5 * sum(align(*side) for side in sides)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), model(adj, weight).embedding.detach()


@pytest.mark.parametrize('num_ranks', [1, 2, 3, 4])
@pytest.mark.parametrize(('negatives', 'impl'), CASES)
def test_steps_are_those_of_one_process(
    ranks: Ranks, num_ranks: int, negatives: str, impl: str
) -> None:
    found = ranks(num_ranks, train, negatives, impl)
    losses, embedding = train_whole(negatives, impl)
    shares = torch.tensor([each for each, _ in found])
    torch.testing.assert_close(shares.sum(dim=0), losses, rtol=1e-5, atol=1e-5)
    rows = whole([each for _, each in found])
    torch.testing.assert_close(rows, embedding, rtol=1e-5, atol=1e-5)


def plain_loss(mesh: DeviceMesh) -> list[float]:
    graph = ShardedGraph(draw_pairs(), USERS, ITEMS, mesh)
    model = ShardedLightGCN(graph, DIM)
    user, positive, negative = (
        model()[ids] for ids in triplets() + torch.tensor([[0], [USERS], [USERS]])
    )
    expected = bpr_loss(user, positive, negative)
    wide = ShardedLightGCN(graph, DIM, text=torch.ones(USERS + ITEMS, DIM))
    assert wide.loss(triplets()).isfinite()
    return [model.loss(triplets()).item(), expected.item()]


def test_text_and_projector_are_optional(ranks: Ranks) -> None:
    ((loss, expected),) = ranks(1, plain_loss)
    assert loss == pytest.approx(expected)


def loss_of_first_rank(mesh: DeviceMesh, negatives: str) -> list[Tensor]:
    """Only the first rank has triplets, and only it passes interactions."""
    is_first = mesh.get_rank() == 0
    graph = ShardedGraph(draw_pairs()[:, : 60 * is_first], USERS, ITEMS, mesh)
    model = ShardedLightGCN(
        graph,
        WIDTH,
        text=own_nodes(graph, texts()),
        negatives=negatives,
        impl='ring',
        generator=torch.Generator().manual_seed(mesh.get_rank()),
    )
    loss = model.loss(triplets()[:, : 7 * is_first])
    loss.backward()
    with pytest.raises(ValueError, match="'triplets' must have at least one column"):
        model.loss(triplets()[:, :0])
    tables = model.users, model.items
    weight = [table.weight.full_tensor().detach() for table in tables]
    grad = [table.weight.grad.full_tensor() for table in tables]
    return [loss.detach(), torch.cat(weight), torch.cat(grad)]


@pytest.mark.parametrize('negatives', ['all', 'batch'])
def test_ranks_may_have_no_triplets(ranks: Ranks, negatives: str) -> None:
    found = ranks(2, loss_of_first_rank, negatives)
    _, weight, grad = found[0]
    assert found[1][0] == 0
    weight = weight.requires_grad_()
    x = weight
    adj = bipartite_edge_index(draw_pairs(), USERS, ITEMS)
    matrix = torch.zeros(USERS + ITEMS, USERS + ITEMS)
    matrix[adj[1], adj[0]] = symmetric_norm(adj, USERS + ITEMS)
    layers = [x]
    for _ in range(3):
        layers.append(matrix @ layers[-1])
    z, text = (each.split([USERS, ITEMS]) for each in (sum(layers), texts()))
    user, item, negative = triplets()
    align = PairwiseAlignmentLoss(
        0.2, duplicates=True, negatives=negatives, impl='eager'
    )
    loss = bpr_loss(z[0][user], z[1][item], z[1][negative])
    loss = loss + align(z[0], text[0], user) + align(z[1], text[1], item)
    torch.testing.assert_close(found[0][0], loss.detach())
    torch.testing.assert_close(grad, torch.autograd.grad(loss, weight)[0])


def bad(mesh: DeviceMesh) -> list[str]:
    graph = ShardedGraph(draw_pairs(), USERS, ITEMS, mesh)
    wrong = {
        'graph': None,
        'embedding_dim': 0,
        'num_layers': 0,
        'num_slices': 0,
        'text': torch.ones(3, DIM),
        'projector': 'linear',
        'text_weight': -1.0,
        'temperature': 0.0,
        'negatives': 'none',
        'impl': 'eager',
        'generator': 0,
    }
    unnamed = []
    for name, value in wrong.items():
        with pytest.raises(ValueError) as caught:
            ShardedLightGCN(**{'graph': graph, name: value})
        if f"'{name}'" not in str(caught.value):
            unnamed.append(f'{name}: {caught.value}')
    with pytest.raises(ValueError, match="'text' must be as wide as 'embedding_dim'"):
        ShardedLightGCN(graph, DIM + 1, text=torch.ones(graph.num_nodes, DIM))
    with pytest.raises(ValueError, match="'triplets"):
        ShardedLightGCN(graph).loss(torch.tensor([[USERS], [0], [0]]))
    return unnamed


def test_errors_name_the_argument(ranks: Ranks) -> None:
    assert ranks(1, bad) == [[]]
