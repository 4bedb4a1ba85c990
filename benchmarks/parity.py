r"""Compare the package with recorded numbers of the authors' code.

    python -m benchmarks.parity --goldens tests/data/goldens --json FILE
    python -m benchmarks.parity --seeds 5

Each .npz file of --goldens has one training step of one model: graph, batch, texts,
parameters, random draws, loss terms and gradients. For each, prints the relative errors
(in norm) of the total, the terms and the gradients, and their maximum. --seeds N
compares N random steps of other sizes for every backbone and alignment with
formulas.py, which is itself compared with the goldens. --json writes the rows. Exits
with 1 if an error is above the tolerance or a file cannot be read. Takes a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.formulas import MODELS, VARIANTS, Step, make_step
from pyg_irllrec.nn import (
    BackboneOutput,
    IntentAlignmentLoss,
    IRLLRec,
    Recommender,
    RLMRecGen,
)
from pyg_irllrec.presets import BACKBONES, authors_backbone, authors_loss
from pyg_irllrec.testing import replay_draws

# The authors' names of terms and parameters, and those of the package.
TERMS = {
    'bpr_loss': 'ranking',
    'mf_loss': 'ranking',
    'reg_loss': 'l2',
    'cl_loss': 'contrast',
    'cen_loss': 'center',
    'kd_loss': 'profile',
    'kd_int_loss': 'intent',
    'recon_loss': 'reconstruction',
}
PARAMETERS = {
    'user_embeds': 'backbone.user_embedding.weight',
    'item_embeds': 'backbone.item_embedding.weight',
    'user_embeds.weight': 'backbone.user_embedding.weight',
    'item_embeds.weight': 'backbone.item_embedding.weight',
    'user_embedding.weight': 'backbone.user_embedding.weight',
    'item_embedding.weight': 'backbone.item_embedding.weight',
    'user_intent': 'backbone.user_prototypes.weight',
    'item_intent': 'backbone.item_prototypes.weight',
    'mlp.': 'profile_projector.',
    'int_mlp.': 'intent_projector.encoder.',
    'int_mlp_m.': 'intent_projector.teacher.',
    'mask_token': 'mask_token',
}
# Parameters of the authors' BIGCF that only its L2 term uses.
UNUSED = ('logit_scale', 'itm_head.', 'itm_mlp.')


class Golden:
    """One recorded training step."""

    def __init__(self, arrays: dict[str, Tensor], config: dict[str, Any]) -> None:
        self.arrays = arrays
        self.config = config
        self.backbone: str = config['name'].split('_')[0]
        self.num_users = int(arrays['num_users'])
        self.num_items = int(arrays['num_items'])

    @property
    def edge_index(self) -> Tensor:
        """Sources and targets. The recorded matrix has targets in its rows."""
        return self.arrays['adj_edge_index'].flip(0)

    def group(self, prefix: str) -> dict[str, Tensor]:
        start = f'{prefix}/'
        return {
            name.removeprefix(start): value
            for name, value in sorted(self.arrays.items())
            if name.startswith(start)
        }

    def parameters(self) -> dict[str, Tensor]:
        """The parameters that the package has, too."""
        return {
            name: value
            for name, value in self.group('param').items()
            if not name.startswith(UNUSED)
        }

    def unused(self) -> dict[str, Tensor]:
        names = self.group('param').keys() - self.parameters().keys()
        return {name: self.arrays[f'param/{name}'] for name in sorted(names)}

    def text(self, kind: str) -> Tensor | None:
        sides = [
            self.arrays.get(f'text/{side}{kind}_embeds') for side in ('usr', 'itm')
        ]
        found = [side for side in sides if side is not None]
        return torch.cat(found) if found else None

    @property
    def reconstructs(self) -> bool:
        """Whether the model is RLMRec-Gen."""
        return bool(self.config['name'].endswith('_gene'))

    def ours(self, name: str) -> str:
        """The package's name of one of the authors' parameters."""
        if self.reconstructs and name.startswith('mlp.'):
            return 'reconstructor.' + name.removeprefix('mlp.')
        for theirs, mine in PARAMETERS.items():
            if name == theirs or (theirs.endswith('.') and name.startswith(theirs)):
                return mine + name.removeprefix(theirs)
        raise KeyError(f'the package has no parameter for {name!r} of the authors')

    def model(self) -> Recommender:
        if self.reconstructs:
            return self.reconstructing_model()
        config = dict(self.config)
        state = {self.ours(name): value for name, value in self.parameters().items()}
        teacher = [name for name in state if '.teacher.' in name]
        if not teacher:
            # The authors have these two terms only for LightGCN.
            config |= {'kd_int_weight_2': 0.0, 'kd_int_weight_3': 0.0}
            state |= {
                name.replace('.encoder.', '.teacher.'): value
                for name, value in state.items()
                if '.encoder.' in name
            }
        backbone = BACKBONES[self.backbone](
            self.num_users, self.num_items, **authors_backbone(self.backbone, config)
        )
        model = IRLLRec(
            backbone,
            self.edge_index,
            profile=self.text('prf'),
            intent=self.text('int'),
            alignment=IntentAlignmentLoss(**authors_loss(config, self.backbone)),
            l2_weight=config['reg_weight'],
            l2_teacher=bool(teacher),
        ).to(self.arrays['loss'].dtype)
        model.load_state_dict(state)
        return model.train()

    def reconstructing_model(self) -> RLMRecGen:
        config = self.config
        profile = self.text('prf')
        assert profile is not None
        model = RLMRecGen(
            BACKBONES[self.backbone](
                self.num_users,
                self.num_items,
                **authors_backbone(self.backbone, config),
            ),
            self.edge_index,
            profile=profile,
            mask_ratio=config['mask_ratio'],
            weight=config['recon_weight'],
            temperature=config['re_temperature'],
            max_rows=None,
            l2_weight=config['reg_weight'],
        ).to(self.arrays['loss'].dtype)
        state = {self.ours(name): value for name, value in self.parameters().items()}
        model.load_state_dict(state)
        return model.train()

    @contextmanager
    def replay(self, model: Recommender) -> Iterator[None]:
        """Replay the recorded draws in the model, the masked nodes first."""

        def order(number: int, **options: Any) -> Tensor:
            masked = self.arrays['draw/00_masked']
            others = torch.ones(number, dtype=torch.bool).index_fill(0, masked, False)
            return torch.cat([masked, others.nonzero().flatten()])

        with replay_draws(self.draws(model)), patch('torch.randperm', order):
            yield

    def draws(self, model: Recommender) -> list[Tensor]:
        """The recorded draws. Draws per edge are in the order of the model's edges."""
        recorded, used = (
            index[1] * model.backbone.num_nodes + index[0]
            for index in (self.edge_index, model.edge_index.as_tensor().long())
        )
        order = recorded.argsort()[used.argsort().argsort()]
        return [
            draw[order] if draw.shape == order.shape else draw
            for draw in self.group('draw').values()
            if draw.is_floating_point()
        ]


def relative_error(value: Tensor, expected: Tensor) -> float:
    scale = expected.norm().item()
    return (value.detach() - expected).norm().item() / (scale if scale > 0 else 1.0)


def compare(golden: Golden) -> dict[str, float]:
    """The relative errors of all recorded values."""
    model = golden.model()
    outputs: list[BackboneOutput] = []
    model.backbone.register_forward_hook(lambda *args: outputs.append(args[-1]))
    with golden.replay(model):
        loss = model.loss(golden.arrays['batch'])
    loss.total.backward()

    # What the authors' L2 term counts beyond our parameters.
    l2_weight = golden.config['reg_weight']
    unused = golden.unused()
    rest = l2_weight * sum(value.square().sum() for value in unused.values())
    terms = {**loss.terms, 'l2': loss.terms['l2'] + rest}
    errors = {'total': relative_error(loss.total + rest, golden.arrays['loss'])}
    for name, value in golden.group('term').items():
        errors[f'term {name}'] = relative_error(terms[TERMS[name]], value)
    if 'final_embeds' in golden.arrays:
        value = golden.arrays['final_embeds']
        errors['final_embeds'] = relative_error(outputs[0].embedding, value)
    parameters = dict(model.named_parameters())
    for name, value in golden.group('grad').items():
        if name in unused:
            gradient = 2 * l2_weight * unused[name]
        else:
            gradient = parameters[golden.ours(name)].grad
        errors[f'grad {name}'] = (
            float('inf') if gradient is None else relative_error(gradient, value)
        )
    state = model.state_dict()
    for name, value in golden.group('param_after').items():
        if name not in unused:
            errors[f'after {name}'] = relative_error(state[golden.ours(name)], value)
    return errors


def check_formulas(golden: Golden) -> dict[str, float]:
    """The relative errors of the formulas, on which --seeds relies."""
    if golden.reconstructs:  # The formulas do not cover RLMRec-Gen.
        return {}
    record = Step(golden.arrays, golden.config).record()
    return {
        f'formulas {name}': relative_error(value, golden.arrays[name])
        for name, value in record.items()
    }


def read(path: Path, dtype: torch.dtype) -> Golden:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        config = json.loads(str(arrays.pop('config')))
        tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
        return Golden(
            {
                name: value.to(dtype) if value.is_floating_point() else value
                for name, value in tensors.items()
            },
            config,
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SystemExit(f'error: cannot read the golden {path}: {error}') from None


def read_all(folder: Path, dtype: torch.dtype) -> dict[str, Golden]:
    paths = sorted(folder.glob('*.npz'))
    if not paths:
        raise SystemExit(f'error: no .npz file in {folder}')
    return {path.stem: read(path, dtype) for path in paths}


def make(seeds: int) -> Iterator[tuple[str, Golden]]:
    """One random step per seed, backbone and alignment."""
    for seed in range(seeds):
        for name in (model + variant for model in MODELS for variant in VARIANTS):
            yield f'{name}, seed {seed}', Golden(*make_step(name, seed))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--goldens', type=Path, metavar='DIR', help='folder of recorded steps'
    )
    parser.add_argument(
        '--seeds', type=int, default=0, metavar='N', help='number of random steps'
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-5,
        help='largest allowed relative error (default: 1e-5)',
    )
    parser.add_argument('--dtype', choices=('float32', 'float64'), default='float32')
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the errors here'
    )
    args = parser.parse_args(argv)
    if args.goldens is None and args.seeds < 1:
        parser.error("'--goldens' or '--seeds' must be given")

    results = {}
    if args.goldens is not None:
        goldens = read_all(args.goldens, getattr(torch, args.dtype))
        for name, golden in goldens.items():
            try:
                results[name] = compare(golden) | check_formulas(golden)
            except (KeyError, RuntimeError, ValueError, AssertionError) as error:
                raise SystemExit(
                    f'error: cannot replay the golden {name}: {error}'
                ) from None
            show(name, results[name], details=True)
    for name, golden in make(args.seeds):
        results[name] = compare(golden)
        show(name, results[name])
    if args.json is not None:
        rows = [
            {'model': name, **summary(errors), 'errors': errors}
            for name, errors in results.items()
        ]
        harness.write(args.json, 'parity', rows)
    # This form fails for NaN.
    good = all(
        error <= args.tolerance
        for errors in results.values()
        for error in errors.values()
    )
    print(
        'parity holds'
        if good
        else f'error: some errors are above the tolerance of {args.tolerance:g}'
    )
    return 0 if good else 1


def summary(errors: dict[str, float]) -> dict[str, float]:
    """The largest errors of the total, the terms and the gradients, as far as they were
    recorded."""
    parts = {'total': 'total', 'terms': 'term ', 'gradients': 'grad '}
    groups = {
        part: [error for name, error in errors.items() if name.startswith(start)]
        for part, start in parts.items()
    }
    return {part: max(group) for part, group in groups.items() if group}


def show(name: str, errors: dict[str, float], details: bool = False) -> None:
    print(f'{name}: largest relative error {max(errors.values()):.1e}')
    if details:
        for what, error in errors.items():
            print(f'  {what:<32} {error:.1e}')


if __name__ == '__main__':
    sys.exit(main())
