r"""Compares the package with recorded numbers of the authors' code.

    python benchmarks/parity.py --goldens DIR

Every .npz file in DIR holds one training step of one model: graph, batch, texts,
parameters, random draws, loss terms and gradients. For every model that the package
covers, this prints the largest relative error of the total, of each term and of each
gradient (in norm), and exits with 1 if one is above the tolerance or a file cannot
be read.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.presets import authors_alignment
from pyg_irllrec.testing import replay_draws

# The authors' names of terms and parameters, and ours.
TERMS = {
    'bpr_loss': 'bpr',
    'reg_loss': 'l2',
    'kd_loss': 'profile',
    'kd_int_loss': 'intent',
}
PARAMETERS = {
    'user_embeds': 'backbone.user_embedding.weight',
    'item_embeds': 'backbone.item_embedding.weight',
    'user_intent': 'backbone.user_prototypes.weight',
    'item_intent': 'backbone.item_prototypes.weight',
    'mlp.': 'profile_projector.',
    'int_mlp.': 'intent_projector.encoder.',
    'int_mlp_m.': 'intent_projector.teacher.',
}
BACKBONES = {'lightgcn': LightGCN}
ALIGNMENT_KEYS = (
    'kd_weight',
    'kd_temperature',
    'kd_int_weight',
    'kd_int_temperature',
    'kd_int_weight_2',
    'kd_int_weight_3',
)


class Golden:
    """One recorded training step."""

    def __init__(self, path: Path, dtype: torch.dtype) -> None:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        self.config: dict[str, Any] = json.loads(str(arrays.pop('config')))
        self.name: str = self.config['name']
        self.num_users = int(arrays['num_users'])
        self.num_items = int(arrays['num_items'])
        self.arrays = {name: torch.from_numpy(value) for name, value in arrays.items()}
        for name, value in self.arrays.items():
            if value.is_floating_point():
                self.arrays[name] = value.to(dtype)

    @property
    def covered(self) -> bool:
        return self.name.split('_')[0] in BACKBONES

    @property
    def edge_index(self) -> Tensor:
        """Sources and targets: the recorded rows of the matrix are targets."""
        return self.arrays['adj_edge_index'].flip(0)

    def group(self, prefix: str) -> dict[str, Tensor]:
        start = f'{prefix}/'
        return {
            name.removeprefix(start): value
            for name, value in sorted(self.arrays.items())
            if name.startswith(start)
        }

    def text(self, kind: str) -> Tensor | None:
        sides = [
            self.arrays.get(f'text/{side}{kind}_embeds') for side in ('usr', 'itm')
        ]
        found = [side for side in sides if side is not None]
        return torch.cat(found) if found else None

    def model(self) -> IRLLRec:
        config = self.config
        keys = [key for key in ALIGNMENT_KEYS if key in config]
        backbone = BACKBONES[self.name.split('_')[0]](
            self.num_users,
            self.num_items,
            embedding_dim=config['embedding_size'],
            num_layers=config['layer_num'],
            num_intents=config.get('intent_num', 0),
            edge_dropout=1 - config.get('keep_rate', 1.0),
        )
        model = IRLLRec(
            backbone,
            self.edge_index,
            profile=self.text('prf'),
            intent=self.text('int'),
            alignment=IntentAlignmentLoss(
                **authors_alignment(**{key: config[key] for key in keys})
            ),
            l2_weight=config['reg_weight'],
            l2_teacher=True,
        ).to(self.arrays['loss'].dtype)
        state = {ours(name): value for name, value in self.group('param').items()}
        model.load_state_dict(state)
        return model.train()

    def draws(self, model: IRLLRec) -> list[Tensor]:
        """The recorded draws; those of edges in the model's order of edges."""
        recorded, used = (
            index[1] * model.backbone.num_nodes + index[0]
            for index in (self.edge_index, model.edge_index.as_tensor().long())
        )
        order = recorded.argsort()[used.argsort().argsort()]
        return [
            draw[order] if draw.shape == order.shape else draw
            for draw in self.group('draw').values()
        ]


def ours(name: str) -> str:
    """Our name of one of the authors' parameters."""
    for theirs, mine in PARAMETERS.items():
        if name == theirs or (theirs.endswith('.') and name.startswith(theirs)):
            return mine + name.removeprefix(theirs)
    raise KeyError(f'no parameter of the package is called {name!r} by the authors')


def relative_error(value: Tensor, expected: Tensor) -> float:
    scale = expected.norm().item()
    return (value.detach() - expected).norm().item() / (scale if scale > 0 else 1.0)


def compare(golden: Golden) -> dict[str, float]:
    """The relative error of everything that the file has recorded."""
    model = golden.model()
    with replay_draws(golden.draws(model)):
        loss = model.loss(golden.arrays['batch'])
    loss.total.backward()

    errors = {'total': relative_error(loss.total, golden.arrays['loss'])}
    for name, value in golden.group('term').items():
        errors[f'term {name}'] = relative_error(loss.terms[TERMS[name]], value)
    parameters = dict(model.named_parameters())
    for name, value in golden.group('grad').items():
        gradient = parameters[ours(name)].grad
        errors[f'grad {name}'] = (
            float('inf') if gradient is None else relative_error(gradient, value)
        )
    state = model.state_dict()
    for name, value in golden.group('param_after').items():
        errors[f'after {name}'] = relative_error(state[ours(name)], value)
    return errors


def read(path: Path, dtype: torch.dtype) -> Golden:
    try:
        return Golden(path, dtype)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SystemExit(f'error: cannot read the golden {path}: {error}') from None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--goldens', type=Path, required=True, metavar='DIR')
    parser.add_argument('--tolerance', type=float, default=1e-5)
    parser.add_argument('--dtype', choices=('float32', 'float64'), default='float32')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the errors')
    args = parser.parse_args(argv)

    paths = sorted(args.goldens.glob('*.npz'))
    if not paths:
        raise SystemExit(f'error: no .npz file in {args.goldens}')
    goldens = [read(path, getattr(torch, args.dtype)) for path in paths]
    results = {}
    for path, golden in zip(paths, goldens):
        if not golden.covered:
            print(f'{path.stem}: not covered, skipped')
            continue
        try:
            results[path.stem] = errors = compare(golden)
        except (KeyError, RuntimeError, ValueError, AssertionError) as error:
            raise SystemExit(
                f'error: cannot replay the golden {path}: {error}'
            ) from None
        print(f'{path.stem}: largest relative error {max(errors.values()):.1e}')
        for name, error in errors.items():
            print(f'  {name:<24} {error:.1e}')
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=2) + '\n')
    if not results:
        raise SystemExit(f'error: the package covers no golden in {args.goldens}')
    # Written so that NaN fails.
    good = all(
        error <= args.tolerance
        for errors in results.values()
        for error in errors.values()
    )
    print(
        'parity holds' if good else f'error: above the tolerance of {args.tolerance:g}'
    )
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
