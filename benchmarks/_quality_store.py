r"""The runs of :mod:`benchmarks.quality`, one JSON file each. A run with a file is not
run again, and a run that is killed leaves no file."""

from __future__ import annotations

import json
import sys
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Optional

import optuna
import torch
from optuna.samplers import TPESampler
from torch_geometric.data import HeteroData

from benchmarks import real_data
from benchmarks._quality_arms import (
    Arm,
    Params,
    companion_of,
    defaults_of,
    measure,
    space_of,
    train,
)
from pyg_irllrec.training._by_hyper_parameters import by_hyper_parameters
from pyg_irllrec.utils.files import atomic_write

Run = dict[str, Any]


class Case(NamedTuple):
    """A dataset with a split and a change of its training part."""

    data: str
    split: str = 'given'
    noise: float = 0.0
    keep: float = 1.0

    @property
    def name(self) -> str:
        words = [self.data]
        if self.split != 'given':
            words.append(self.split)
        if self.noise > 0:
            words.append(f'noise{self.noise:g}')
        if self.keep < 1:
            words.append(f'keep{self.keep:g}')
        return '-'.join(words)

    def draws(self, arm: Arm) -> bool:
        """Whether the result of an arm depends on the seed."""
        same_data = self.data in real_data.GIVEN and self[1:] == Case('')[1:]
        return not (same_data and arm.closed and arm.reads != 'shuffled')


class Store(NamedTuple):
    """The folder of all runs, and the settings that they share."""

    out: Path
    root: Optional[Path]
    trials: int
    epochs: int
    device: str = 'cpu'

    def path(self, case: Case, arm: Arm, params: Params, seed: int) -> Path:
        # A closed form has no epochs, so its runs serve any number of epochs.
        settings = [params, 0 if arm.closed else self.epochs]
        key = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
        return self.out / case.name / arm.name / f'{key}-{seed}.json'

    def chosen_path(self, case: Case, arm: Arm, seed: int) -> Path:
        epochs = 0 if arm.closed else self.epochs
        name = f'chosen-{self.trials}-{epochs}-{seed}.json'
        return self.out / case.name / arm.name / name

    def run(self, case: Case, arm: Arm, params: Params, seed: int) -> Run:
        """Train and measure one run, or read it from its file."""
        path = self.path(case, arm, params, seed)
        if (found := read(path)) is not None:
            return found
        run: Run = {'case': case.name, 'arm': arm.name, 'params': params, 'seed': seed}
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # Sparse tensors, cold items.
            data = real_data.load(
                case.data,
                self.root,
                split=case.split,
                seed=seed,
                text=arm.reads,
                noise=case.noise,
                keep=case.keep,
                intents=arm.alignment in ('intents', 'full'),
            )
            try:
                run |= _train(self, case, arm, data, params, seed)
            except ValueError as error:
                if not by_hyper_parameters(error):
                    raise
                run['error'] = str(error)
        write(path, run)
        end = f'{run["seconds"]} s' if 'seconds' in run else run['error']
        print(f'  {case.name}, {arm.name}, seed {seed}: {end}', file=sys.stderr)
        return run

    def tune(self, case: Case, arm: Arm, seed: int) -> Optional[Params]:
        """The best parameters by validation. All arms get the same number of trials.
        The sampler sees earlier trials again, read from their files, so that a search
        that was killed continues as if it had not been."""
        path = self.chosen_path(case, arm, seed)
        if (found := read(path)) is not None:
            return found['params']
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction='maximize', sampler=TPESampler(seed=0, multivariate=True)
        )
        space = space_of(arm)
        fixed = self._companion(case, arm, seed)
        study.enqueue_trial(defaults_of(arm))
        for _ in range(self.trials if space else 1):
            trial = study.ask(space)
            run = self.run(case, arm, trial.params | fixed, seed)
            study.tell(trial, objective(run))
        if study.best_value < 0:
            return None
        best = study.best_params | fixed
        write(path, {'params': best, 'val': study.best_value})
        return best

    def _companion(self, case: Case, arm: Arm, seed: int) -> Params:
        if not arm.blend:
            return {}
        found = self.tune(case, companion_of(arm), seed) or {}
        return {
            f'companion.{name.removeprefix("model.")}': value
            for name, value in found.items()
        }


def objective(run: Run) -> float:
    """The sum of validation metrics; a failed run is below all others."""
    if 'error' in run:
        return -1.0
    return float(run['val']['recall'] + run['val']['ndcg'])


def _train(
    store: Store, case: Case, arm: Arm, data: HeteroData, params: Params, seed: int
) -> Run:
    trained = train(arm, case.data, data, params, seed, store.epochs, store.device)
    model, items = trained.model.to('cpu').eval(), trained.interactions
    held = {'val': items.val_items, 'test': items.test_items}
    return {
        'best_epoch': trained.best_epoch,
        'seconds': round(trained.seconds, 2),
        'torch': torch.__version__,
        **{
            name: measure(model, each, items.train_items) for name, each in held.items()
        },
    }


def read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None


def write(path: Path, value: Run) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, indent=1)
        file.write('\n')
