r"""One training step of every model, written out with dense matrices.

It shares no code with the package, so that parity.py can compare the package with it.
It records a step in the same format as the recorded steps of the authors' code.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

MODELS = ('lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf')
VARIANTS = ('', '_plus', '_int', '_full')
WEIGHTS = {
    'reg_weight': 1e-3,
    'cl_weight': 0.1,
    'cl_temperature': 0.2,
    'cen_weight': 0.05,
    'kd_weight': 0.3,
    'kd_temperature': 0.3,
    'kd_int_weight': 0.25,
    'kd_int_temperature': 0.2,
    'kd_int_weight_2': 0.2,
    'kd_int_weight_3': 0.15,
    'eps': 0.7,
}
TOWERS = {'prf': 'mlp', 'int': 'int_mlp'}


class Step:
    """The recorded arrays of a step, and the computations of every model."""

    def __init__(self, arrays: dict[str, Tensor], config: dict[str, Any]) -> None:
        self.config = config
        self.arrays = arrays
        self.draws = [arrays[name] for name in sorted(arrays) if name[:5] == 'draw/']
        self.parameters = {
            name.removeprefix('param/'): value.detach().clone().requires_grad_()
            for name, value in arrays.items()
            if name.startswith('param/')
        }
        self.num_users = int(arrays['num_users'])
        self.num_nodes = self.num_users + int(arrays['num_items'])
        self.target, self.source = arrays['adj_edge_index']
        adjacency = self.matrix(torch.ones_like(self.target, dtype=self.dtype))
        degree = adjacency.sum(dim=1)
        self.norm = (degree[self.target] * degree[self.source]).rsqrt()
        self.user, self.positive, self.negative = arrays['batch']
        self.tables = torch.cat(
            [
                next(
                    value
                    for name, value in self.parameters.items()
                    if name.startswith(f'{side}_embed')
                )
                for side in ('user', 'item')
            ]
        )

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.parameters.values())).dtype

    def matrix(self, weight: Tensor) -> Tensor:
        zeros = weight.new_zeros(self.num_nodes, self.num_nodes)
        return zeros.index_put((self.target, self.source), weight)

    def propagate(self, weight: Tensor) -> list[Tensor]:
        adjacency, layers = self.matrix(weight), [self.tables]
        for _ in range(self.config['layer_num']):
            layers.append(adjacency @ layers[-1])
        return layers

    def dropped(self, draw: Tensor) -> Tensor:
        return self.norm * (draw + self.config['keep_rate']).floor()

    def intents(self, x: Tensor) -> Tensor:
        sides = x[: self.num_users], x[self.num_users :]
        centres = self.parameters['user_intent'], self.parameters['item_intent']
        return torch.cat([(s @ c).softmax(1) @ c.t() for s, c in zip(sides, centres)])

    def attend(self, x: Tensor, intent: Tensor) -> Tensor:
        unit = normalise(intent)
        alpha = ((unit[self.target] * unit[self.source]).sum(dim=1) + 1) / 2
        alpha = self.matrix(alpha)
        return (alpha @ x) / alpha.sum(dim=1, keepdim=True).clamp(min=1e-30)

    def text(self, kind: str, tower: str) -> Tensor | None:
        if f'text/usr{kind}_embeds' not in self.arrays:
            return None
        sides = [self.arrays[f'text/{side}{kind}_embeds'] for side in ('usr', 'itm')]
        return self.mlp(torch.cat(sides), tower)

    def mlp(self, x: Tensor, tower: str) -> Tensor:
        weight = {**self.parameters, **self.teacher()}
        hidden = x @ weight[f'{tower}.0.weight'].t() + weight[f'{tower}.0.bias']
        hidden = F.leaky_relu(hidden, 0.01)
        return hidden @ weight[f'{tower}.2.weight'].t() + weight[f'{tower}.2.bias']

    def teacher(self) -> dict[str, Tensor]:
        """The momentum tower after its update."""
        return {
            name: 0.999 * value.detach()
            + 0.001 * self.parameters[name.replace('int_mlp_m', 'int_mlp')].detach()
            for name, value in self.parameters.items()
            if name.startswith('int_mlp_m.')
        }

    def align(self, a: Tensor, b: Tensor, temperature: float, every: str) -> Tensor:
        """InfoNCE over the batch, for users and positive items. `every` has 'u' and 'i'
        for the sides whose keys are all rows, and '-' to add negative items."""
        users = self.num_users
        total = nce(a[:users], b[:users], self.user, temperature, 'u' in every)
        items = [self.positive] + ([self.negative] if '-' in every else [])
        for item in items:
            rows = a[users:], b[users:]
            total = total + nce(*rows, item, temperature, 'i' in every)
        return total / self.user.numel()

    def bpr(self, z: Tensor) -> Tensor:
        user, item = z[: self.num_users], z[self.num_users :]
        gap = item[self.negative] - item[self.positive]
        return F.softplus((user[self.user] * gap).sum(dim=1)).mean()

    def terms(self) -> dict[str, Tensor]:
        """All weighted terms, by the names of the package."""
        config, name = self.config, self.config['name'].split('_')[0]
        z, r, own = getattr(self, name)()
        terms = {'ranking': self.bpr(z), **own}
        squares = [value.square().sum() for value in self.parameters.values()]
        terms['l2'] = config['reg_weight'] * sum(squares)
        profile, intent = self.text('prf', 'mlp'), self.text('int', 'int_mlp')
        if profile is not None:
            loss = self.align(z, profile, config['kd_temperature'], 'u-')
            terms['profile'] = config['kd_weight'] * loss
        if intent is not None:
            negatives = '' if name == 'simgcl' else '-'
            loss = self.align(r, intent, config['kd_int_temperature'], 'u' + negatives)
            terms['intent'] = config['kd_int_weight'] * loss
        if any(name.startswith('int_mlp_m.') for name in self.parameters):
            terms |= self.distill(intent, z)
        return terms

    def distill(self, intent: Tensor, z: Tensor) -> dict[str, Tensor]:
        first, second = self.draws[-2:]
        x, y = normalise(intent + intent * first), normalise(z + z * second)
        e = (x @ y.t()).exp()
        share = e.diagonal() / (e.sum(dim=1) + 1e-8)
        translation = -(share + 1e-8).log().mean()
        target = self.text('int', 'int_mlp_m').softmax(dim=1)
        matching = -(target * intent.log_softmax(dim=1)).sum(dim=1).mean()
        w2, w3 = self.config['kd_int_weight_2'], self.config['kd_int_weight_3']
        return {
            'translation': (w2 + w3 * 0.4 * w2) * translation,
            'matching': w3 * 0.6 * matching,
        }

    def mean_intent(self, layers: list[Tensor]) -> Tensor | None:
        if 'user_intent' not in self.parameters:
            return None
        return sum(self.attend(x, self.intents(x)) for x in layers) / len(layers)

    def lightgcn(self) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        weight = self.norm
        if self.config['keep_rate'] < 1:
            weight = self.dropped(self.draws[0])
        layers = self.propagate(weight)
        return sum(layers), self.mean_intent(layers[:-1]), {}

    def sgl(self) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        first, second = (self.propagate(self.dropped(d)) for d in self.draws[:2])
        loss = self.align(sum(first), sum(second), self.temperature, 'ui-')
        own = {'contrast': self.config['cl_weight'] * loss}
        return sum(self.propagate(self.norm)), self.mean_intent(second[:-1]), own

    def simgcl(self) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        adjacency, views = self.matrix(self.norm), []
        depth = self.config['layer_num']
        for start in (0, depth):
            layers = [self.tables]
            for draw in self.draws[start : start + depth]:
                x = adjacency @ layers[-1]
                noise = draw / draw.norm(dim=1, keepdim=True)
                layers.append(x + noise * x.sign() * self.config['eps'])
            views.append(sum(layers))
        loss = self.align(*views, self.temperature, 'ui')
        layers = self.propagate(self.norm)
        own = {'contrast': self.config['cl_weight'] * loss}
        return sum(layers), self.mean_intent(layers[:-1]), own

    def dccf(self) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        adjacency, layers = self.matrix(self.norm), [self.tables]
        users = self.user.unique()
        nodes = users, self.positive.unique() + self.num_users
        by_intents, loss = [], 0
        for _ in range(self.config['layer_num']):
            x = layers[-1]
            g, h = adjacency @ x, self.intents(x)
            by_graph, by_intent = self.attend(x, g), self.attend(x, h)
            for other in (h, by_graph, by_intent):
                for index in nodes:
                    loss = loss + nce(g, other, index, self.temperature)
            by_intents.append(by_intent)
            layers.append(g + h + by_graph + by_intent + x)
        own = {'contrast': self.config['cl_weight'] * loss / users.numel()}
        return sum(layers), sum(by_intents) / len(by_intents), own

    def bigcf(self) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        layers = self.propagate(self.norm)
        pairs = zip(layers[1:], layers[:-1])
        r = [self.attend(after, self.intents(before)) for after, before in pairs]
        shared = self.intents(sum(layers))
        z = sum(layers) + shared * self.draws[0]
        users, items = self.user, self.positive + self.num_users
        loss = 0
        for x, a, b in (
            (z, users, users),
            (z, items, items),
            (z, users, items),
            (shared, users, users),
            (shared, items, items),
        ):
            logit = normalise(x[a]) @ normalise(x[b]).t() / self.temperature
            share = logit.exp().diagonal() / (logit.exp().sum(dim=1) + 1e-8)
            loss = loss - (share + 1e-8).log().mean()
        centres = self.parameters['user_intent'], self.parameters['item_intent']
        centre = sum(centre.square().sum() for centre in centres)
        own = {
            'contrast': self.config['cl_weight'] * loss,
            'center': self.config['cen_weight'] * centre,
        }
        return z, sum(r) / len(r), own

    @property
    def temperature(self) -> float:
        return self.config.get('cl_temperature', self.config.get('temperature'))

    def record(self) -> dict[str, Tensor]:
        """The total, the gradients and the updated teacher, by their recorded names."""
        loss = sum(self.terms().values())
        trained = {k: v for k, v in self.parameters.items() if 'mlp_m.' not in k}
        grads = torch.autograd.grad(loss, list(trained.values()))
        return {
            'loss': loss.detach(),
            **{f'grad/{name}': grad for name, grad in zip(trained, grads)},
            **{f'param_after/{k}': v for k, v in self.teacher().items()},
        }


def normalise(x: Tensor) -> Tensor:
    return x / (1e-8 + x.square().sum(dim=1, keepdim=True)).sqrt()


def nce(
    a: Tensor, b: Tensor, index: Tensor, temperature: float, every: bool = False
) -> Tensor:
    """InfoNCE summed over the rows of a at `index`. The keys are the rows of b at
    `index`, or all rows of b."""
    query, key = normalise(a)[index], normalise(b)
    logit = query @ (key if every else key[index]).t() / temperature
    own = (query * key[index]).sum(dim=1) / temperature
    return (logit.logsumexp(dim=1) - own).sum()


def make_step(
    name: str, seed: int, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A random step (sizes, graph, weights, texts and draws) and its results."""
    generator = torch.Generator().manual_seed(seed)
    backbone, _, variant = name.partition('_')

    def size(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype) / 2

    users, items, dim, centres = size(8, 60), size(8, 60), size(3, 20), size(2, 9)
    width, batch, depth = size(4, 30), size(2, 50), size(1, 4)
    keep = {'lightgcn': 1.0 if variant in ('int', 'full') else 0.7, 'sgl': 0.7}
    config = {
        'name': name,
        'embedding_size': dim,
        'layer_num': depth,
        'keep_rate': keep.get(backbone, 1.0),
        **WEIGHTS,
    }
    chosen = torch.rand(users, items, generator=generator) < 0.15
    chosen[:, 0], chosen[0, -1] = True, False
    interactions = chosen.nonzero().t()
    edges = torch.stack([interactions[0], interactions[1] + users])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    edges = edges[:, torch.randperm(edges.size(1), generator=generator)]
    arrays: dict[str, Tensor] = {
        'num_users': torch.tensor(users),
        'num_items': torch.tensor(items),
        'adj_edge_index': edges,
        'batch': torch.stack(
            [
                torch.randint(most, (batch,), generator=generator)
                for most in (users, items, items)
            ]
        ),
        'param/user_embeds': normal(users, dim),
        'param/item_embeds': normal(items, dim),
    }
    if variant in ('int', 'full') or backbone in ('dccf', 'bigcf'):
        config['intent_num'] = centres
        arrays['param/user_intent'] = normal(dim, centres)
        arrays['param/item_intent'] = normal(dim, centres)
    kinds = {'': (), 'plus': ('prf',), 'int': ('prf', 'int'), 'full': ('prf', 'int')}
    towers = [(kind, TOWERS[kind]) for kind in kinds[variant]]
    for kind, tower in towers:
        arrays[f'text/usr{kind}_embeds'] = normal(users, width)
        arrays[f'text/itm{kind}_embeds'] = normal(items, width)
        hidden = (width + dim) // 2
        names = [tower, 'int_mlp_m'] if (kind, variant) == ('int', 'full') else [tower]
        for mlp in names:
            arrays[f'param/{mlp}.0.weight'] = normal(hidden, width)
            arrays[f'param/{mlp}.0.bias'] = normal(hidden)
            arrays[f'param/{mlp}.2.weight'] = normal(dim, hidden)
            arrays[f'param/{mlp}.2.bias'] = normal(dim)
    nodes = (users + items, dim)
    shapes: list[tuple[int, ...]] = {
        'lightgcn': [edges.shape[1:]] if config['keep_rate'] < 1 else [],
        'sgl': [edges.shape[1:]] * 2,
        'simgcl': [nodes] * (2 * depth),
        'dccf': [],
        'bigcf': [nodes],
    }[backbone]
    draw = torch.randn if backbone == 'bigcf' else torch.rand
    draws = [draw(shape, generator=generator, dtype=dtype) for shape in shapes]
    if variant == 'full':
        draws += [2 * normal(*nodes), 2 * normal(*nodes)]
    arrays |= {f'draw/{k:02d}': value for k, value in enumerate(draws)}
    return {**arrays, **Step(arrays, config).record()}, config
