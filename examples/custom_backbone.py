r"""Any PyG module as a backbone of IRLLRec, and the reverse.

    python examples/custom_backbone.py
    python examples/custom_backbone.py --epochs 3 --only graphsage plain

The top of this file has five backbones of a few lines each, trained with full alignment
on the embedded dataset, and a plain module that uses only layers and losses of this
package. The table at the end shows, for each part, its lines of code, the mean loss of
the first and the last epoch, and Recall@20 on the test part.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import Module, ModuleList, Parameter
from torch.nn.functional import softplus
from torch.nn.init import xavier_uniform_
from torch_geometric.data import HeteroData
from torch_geometric.nn import (
    GATConv,
    GATv2Conv,
    GraphSAGE,
    HeteroConv,
    LightGCN,
    SAGEConv,
    Sequential,
    to_hetero,
)
from torch_geometric.utils import to_undirected

from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    Backbone,
    BackboneOutput,
    IntentAlignmentLoss,
    IntentLGConv,
    IntentPrototypes,
    ModuleBackbone,
    TextProjector,
)
from pyg_irllrec.training import InteractionDataModule, evaluate, fit
from pyg_irllrec.utils import plain_edge_index

DIM, INTENTS = 32, 16
BATCH, LR = 512, 5e-3


# 1. A PyG model with its own embedding table and its own method.
def lightgcn(num_users: int, num_items: int) -> Backbone:
    return ModuleBackbone(
        LightGCN(num_users + num_items, DIM, num_layers=3),
        num_users,
        num_items,
        DIM,
        in_channels=0,
        method='get_embedding',
        num_intents=INTENTS,
    )


# 2. A module that takes features: it gets a learned embedding table.
def graphsage(num_users: int, num_items: int) -> Backbone:
    module = GraphSAGE(DIM, DIM, num_layers=2)
    return ModuleBackbone(module, num_users, num_items, DIM, num_intents=INTENTS)


# 3. The same module made heterogeneous, with separate weights for each direction.
def hetero_graphsage(num_users: int, num_items: int) -> Backbone:
    module = to_hetero(GraphSAGE(DIM, DIM, num_layers=2), ModuleBackbone.metadata)
    return ModuleBackbone(
        module, num_users, num_items, DIM, num_intents=INTENTS, hetero=True
    )


# 4. Heterogeneous by hand: users attend to items, items average their users.
def hetero_conv(num_users: int, num_items: int) -> Backbone:
    rates, rated_by = ModuleBackbone.metadata[1]
    layers = [
        HeteroConv(
            {
                rated_by: GATv2Conv(DIM, DIM, add_self_loops=False, residual=True),
                rates: SAGEConv(DIM, DIM),
            }
        )
        for _ in range(2)
    ]
    module = Sequential('x, graph', [(layer, 'x, graph -> x') for layer in layers])
    return ModuleBackbone(
        module, num_users, num_items, DIM, num_intents=INTENTS, hetero=True
    )


# 5. A backbone from scratch, with intents at every layer.
class GATBackbone(Backbone):
    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__(num_users, num_items, DIM, num_intents=INTENTS)
        self.x = Parameter(xavier_uniform_(torch.empty(self.num_nodes, DIM)))
        self.convs = ModuleList(GATConv(DIM, DIM) for _ in range(2))

    def node_features(self) -> Tensor:
        return self.x

    def encode(self, x: Tensor, edge_index: Tensor, _: Tensor) -> BackboneOutput:
        layers = [x]
        for conv in self.convs:
            layers.append(conv(layers[-1], plain_edge_index(edge_index)))
        intent = self.interaction_intent(layers[:-1], edge_index)
        return BackboneOutput(sum(layers), intent)


BACKBONES: dict[str, Callable[[int, int], Backbone]] = {
    'lightgcn': lightgcn,
    'graphsage': graphsage,
    'hetero-graphsage': hetero_graphsage,
    'hetero-conv': hetero_conv,
    'gat': GATBackbone,
}
PARTS = (*BACKBONES, 'plain')


# 6. The reverse: a plain module with layers of this package.
class PlainModel(Module):
    def __init__(self, num_nodes: int, profile_width: int, intent_width: int) -> None:
        super().__init__()
        self.x = Parameter(xavier_uniform_(torch.empty(num_nodes, DIM)))
        self.prototypes = IntentPrototypes(DIM, INTENTS)
        self.conv = IntentLGConv()
        self.profile = TextProjector(profile_width, DIM)
        self.intent = TextProjector(intent_width, DIM)

    def forward(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        near = self.conv(self.x, edge_index, intent=self.prototypes(self.x))
        far = self.conv(near, edge_index, intent=self.prototypes(near))
        return self.x + near + far, (near + far) / 2


def train_plain(model: PlainModel, data: HeteroData, epochs: int) -> list[float]:
    """Train in a plain loop, with a loss of this package."""
    user, item = data['user', 'rates', 'item'].edge_index
    num_users, num_items = data['user'].num_nodes, data['item'].num_nodes
    profile, intent = join(data, 'profile'), join(data, 'intent')
    edge_index = graph_of(data)
    align = IntentAlignmentLoss()  # Without a teacher, it has no matching term.
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for batch in torch.randperm(user.numel()).split(BATCH):
            negative = torch.randint(num_items, batch.shape)
            triplets = torch.stack([user[batch], item[batch], negative])
            z, learned_intent = model(edge_index)
            chosen, not_chosen = z[num_users:][triplets[1:]]
            ranking = softplus((z[triplets[0]] * (not_chosen - chosen)).sum(dim=1))
            alignment = align(
                z,
                triplets,
                num_users,
                profile=model.profile(profile),
                interaction_intent=learned_intent,
                text_intent=model.intent(intent),
            )
            loss = ranking.mean() + alignment.total
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * batch.numel()
        losses.append(total / user.numel())
    return losses


class Row(NamedTuple):
    name: str
    lines: int
    first: float
    last: float
    recall: float


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        '--epochs', type=positive_int, default=10, help='number of epochs (default: 10)'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='seed of all random draws (default: 0)'
    )
    parser.add_argument(
        '--num-users',
        type=positive_int,
        default=1000,
        help='users of the embedded dataset (default: 1000)',
    )
    parser.add_argument(
        '--num-items',
        type=positive_int,
        default=800,
        help='items of the embedded dataset, at least 20 (default: 800)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=PARTS,
        default=PARTS,
        metavar='NAME',
        help=f'parts to run, of: {", ".join(PARTS)} (default: all)',
    )
    args = parser.parse_args(argv)
    if args.num_items < 20:
        parser.error(f'--num-items must be at least 20, got {args.num_items}')
    return run_command(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    data = SyntheticIntents(args.num_users, args.num_items, seed=args.seed)[0]
    rows = []
    for name in args.only:
        print(f'Training {name} ...', flush=True)
        torch.manual_seed(args.seed)
        train = run_plain if name == 'plain' else run_backbone
        rows.append(train(name, data, args))
    print(f'\n{"part":<18}{"lines":>11}{"first loss":>12}{"last":>8}{"recall@20":>11}')
    for row in rows:
        print(
            f'{row.name:<18}{row.lines:>11}{row.first:>12.4f}{row.last:>8.4f}'
            f'{row.recall:>11.4f}'
        )


def run_backbone(name: str, data: HeteroData, args: argparse.Namespace) -> Row:
    model = build_model(data, BACKBONES[name], 'full', preset={})
    with TemporaryDirectory() as out:
        result = fit(
            model,
            InteractionDataModule(data, batch_size=BATCH, seed=args.seed),
            out,
            epochs=args.epochs,
            lr=LR,
            check_every=1,
            seed=args.seed,
            device='cpu',
            progress=False,
        )
    losses = [row['loss'] for row in result.history]
    lines = count_lines(BACKBONES[name])
    return Row(name, lines, losses[0], losses[-1], result.test['recall@20'])


def run_plain(name: str, data: HeteroData, args: argparse.Namespace) -> Row:
    widths = data['user'].profile.size(1), data['user'].intent.size(1)
    num_users, num_items = data['user'].num_nodes, data['item'].num_nodes
    model = PlainModel(num_users + num_items, *widths)
    losses = train_plain(model, data, args.epochs)
    split = InteractionDataModule(data)
    with torch.no_grad():
        z, _ = model(graph_of(data))
    test = evaluate(
        z[:num_users], z[num_users:], split.test_items, split.train_items, ks=(20,)
    )
    lines = count_lines(PlainModel)
    return Row(name, lines, losses[0], losses[-1], test['recall@20'])


def graph_of(data: HeteroData) -> Tensor:
    """The undirected graph of users and items, users first, built with PyG only."""
    user, item = data['user', 'rates', 'item'].edge_index
    return to_undirected(torch.stack([user, item + data['user'].num_nodes]))


def join(data: HeteroData, kind: str) -> Tensor:
    return torch.cat([data['user'][kind], data['item'][kind]])


def count_lines(builder: Callable[..., object]) -> int:
    """Count the lines of a function or class, without the header, the docstring and
    blank lines."""
    source = inspect.getsource(builder)
    node = ast.parse(source).body[0]
    assert isinstance(node, (ast.ClassDef, ast.FunctionDef))
    body = node.body[ast.get_docstring(node) is not None :]
    return sum(bool(line.strip()) for line in source.splitlines()[body[0].lineno - 1 :])


if __name__ == '__main__':
    sys.exit(main())
