from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch_geometric.data import HeteroData
from tqdm.auto import tqdm

from pyg_irllrec.nn import Recommender
from pyg_irllrec.presets import PARTS, Preset
from pyg_irllrec.training._by_hyper_parameters import by_hyper_parameters
from pyg_irllrec.training._check_fit import check_folder
from pyg_irllrec.training._search_space import (
    check_space,
    describe_space,
    params_of,
    to_distributions,
    with_params,
)
from pyg_irllrec.training.cutoffs import fitting_cutoffs
from pyg_irllrec.training.default_space import Choices
from pyg_irllrec.training.evaluate import evaluate_ranker
from pyg_irllrec.training.fit import fit
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.parse_device import parse_device
from pyg_irllrec.training.tune_result import TuneResult
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import check_flag, check_instance
from pyg_irllrec.utils.checks import check_count, check_seed, is_number
from pyg_irllrec.utils.digest import hash_interactions
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.folder_lock import FolderLock
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.optional import import_optional

if TYPE_CHECKING:
    import optuna

_FAILED = -1.0
"""The value of a failed trial, which is below all others."""


def tune(
    build: Callable[[Preset], Recommender],
    space: Mapping[str, Choices],
    data: Union[HeteroData, InteractionDataModule],
    out: PathLike,
    *,
    preset: Preset,
    trials: int = 20,
    epochs: int = 100,
    prune: bool = True,
    seed: int = 0,
    device: Union[str, torch.device] = 'auto',
    progress: bool = True,
) -> TuneResult:
    r"""Search for the hyper-parameters with the largest Recall@20 + NDCG@20 on
    validation, by optuna's multivariate TPE sampler (extra :obj:`tune`). The search
    never uses the test interactions. The first trial has the values of :obj:`preset`
    that are in the space.

    A search that was killed continues with the same call. Trials that have ended are
    read from :obj:`trial-NNN.json` and reported to the sampler again, so that its draws
    do not depend on the interruption. A trial that was killed continues from its last
    epoch. A later call may have more :obj:`trials`. :obj:`preset.json` is the best
    preset so far.

    Args:
        build (callable): A function of a preset that returns a new model.
        space (dict): The values to try for each :obj:`"part.argument"` of a preset
            (:obj:`"companions.ease.l2_weight"` for a companion): a range
            :obj:`(low, high)`, of integers if both are, or :obj:`(low, high, "log")`,
            or a list of choices. See :func:`~pyg_irllrec.training.default_space`.
        data (HeteroData or InteractionDataModule): The interactions. Arguments of the
            data module, such as :obj:`"data.batch_size"`, can be in the space and in
            the preset only if it is a graph.
        out (str or pathlib.Path): The folder of the search. It need not exist.
        preset (dict): The values of the first trial, and of all arguments that are not
            in the space.
        trials (int): The number of trials, including those on file.
            (default: :obj:`20`)
        epochs (int): The maximum number of epochs per trial. (default: :obj:`100`)
        prune (bool): Whether to stop a trial whose validation is worse than the median
            of the other trials at the same epoch. The first five trials and the first
            tenth of the epochs are exempt. (default: :obj:`True`)
        seed (int): The seed of the sampler, of weights and of training.
            (default: :obj:`0`)
        device (str or torch.device): The device, as in
            :func:`~pyg_irllrec.training.fit`. (default: :obj:`"auto"`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ValueError: If an argument is invalid, :obj:`out` holds another search, or all
            trials failed.
        ImportError: If optuna is not installed.
        OSError: If another search is using :obj:`out`, or it cannot be written to.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.assemble import choose_preset
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import default_space, tune
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> result = tune(
        ...     lambda preset: build_model(data, preset=preset),
        ...     default_space('lightgcn', 'auto'),
        ...     data,
        ...     'runs/tuned',
        ...     preset=choose_preset(data),
        ...     trials=1,
        ...     epochs=1,
        ...     progress=False,
        ... )
        >>> model = build_model(data, preset=result.preset)
    """
    if not callable(build):
        raise ValueError(
            "'build' must be a function of a preset that returns a model, got "
            f'{type(build).__name__}'
        )
    _check_preset(preset)
    space = check_space(space, preset)
    check_count('trials', trials)
    check_count('epochs', epochs)
    check_flag('prune', prune)
    check_seed(seed, bits=32)
    check_flag('progress', progress)
    parse_device(device)
    _check_data(data, space)
    out = check_folder(out)
    import_optional('optuna', 'tune', 'tune')
    search = _Search(build, space, data, out, preset, epochs, prune, seed, device)
    search.check_parts()
    with FolderLock(out), _quiet_optuna():
        search.open()
        return search.run(trials, progress)


def _check_preset(preset: object) -> None:
    if (
        not isinstance(preset, dict)
        or set(preset) - set(PARTS)
        or not all(isinstance(part, dict) for part in preset.values())
    ):
        raise ValueError(
            "'preset' must be a dictionary of dictionaries, such as get_preset() "
            f'returns, got {preset!r:.200}'
        )
    try:
        json.dumps(preset, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"'preset' must hold values in JSON types: {error}") from None


def _check_data(data: object, space: Mapping[str, Any]) -> None:
    if isinstance(data, InteractionDataModule):
        if own := [name for name in space if name.startswith('data.')]:
            raise ValueError(
                f"'data' must be a HeteroData to tune {own[0]!r}, got an "
                'InteractionDataModule, whose batches are fixed'
            )
    else:
        check_instance('data', data, HeteroData)


class _Search:
    r"""A search in its folder."""

    def __init__(
        self,
        build: Callable[[Preset], Recommender],
        space: dict[str, Any],
        data: Union[HeteroData, InteractionDataModule],
        out: Path,
        preset: Preset,
        epochs: int,
        prune: bool,
        seed: int,
        device: Union[str, torch.device],
    ) -> None:
        self.build, self.space, self.data, self.out = build, space, data, out
        self.preset, self.epochs, self.prune = preset, int(epochs), bool(prune)
        self.seed, self.device = int(seed), device

    def interactions(self, preset: Preset) -> InteractionDataModule:
        if isinstance(self.data, InteractionDataModule):
            return self.data
        return InteractionDataModule(
            self.data, seed=self.seed, **preset.get('data', {})
        )

    def model(self, preset: Preset) -> Recommender:
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            model: object = self.build(preset)
        check_instance('build(preset)', model, Recommender)
        assert isinstance(model, Recommender)
        return model

    def check_parts(self) -> None:
        r"""Build the interactions and the model of the first trial, to raise errors
        before anything is written."""
        first = self.interactions(self.preset)
        if first.val_items is None:
            raise ValueError(
                "'data' must hold validation interactions to tune on, got none: "
                'split them off with SplitInteractions'
            )
        self.splits = {
            'train': hash_interactions(first.train_items),
            'val': hash_interactions(first.val_items),
            'nodes': first.node_hashes,
        }
        values = params_of(self.preset, self.space)
        self.model(with_params(self.preset, values))

    def open(self) -> None:
        r"""Begin the search, or check that the one on file is the same."""
        path = self.out / 'study.json'
        now = {
            'space': describe_space(self.space),
            'preset': self.preset,
            'epochs': self.epochs,
            'prune': self.prune,
            'seed': self.seed,
            'data': self.splits,
        }
        now = json.loads(json.dumps(now))
        if not path.exists():
            _write(path, now)
            return
        before = _read(path)
        for name, value in now.items():
            if before.get(name) != value:
                got = '' if name == 'data' else f', got {value!r:.200}'
                raise ValueError(
                    f'the search in {self.out} was begun with another {name!r}: '
                    f'continue with the same, or choose another folder{got}'
                )

    def run(self, trials: int, progress: bool) -> TuneResult:
        r"""Run the trials that are not on file, and report the others to the
        sampler."""
        study = _make_study(self.seed, self.prune, self.epochs)
        study.enqueue_trial(params_of(self.preset, self.space))
        found: list[dict[str, Any]] = []
        with tqdm(
            total=trials, desc='tuning', unit='trial', disable=not progress
        ) as bar:
            while len(found) < trials or self.path(len(found)).exists():
                found.append(self.next_trial(study))
                best = max(found, key=_rank)
                if best is found[-1] and best['state'] == 'complete':
                    preset = with_params(self.preset, best['params'])
                    _write(self.out / 'preset.json', preset)
                bar.update()
                bar.set_postfix(best=f'{best["value"]:.4f}', refresh=False)
        if best['state'] != 'complete':
            raise ValueError(
                f'no trial in {self.out} gave a model. The error of the last one: '
                f'{found[-1].get("error")}'
            )
        return TuneResult(preset, best['params'], best['value'], found)

    def next_trial(self, study: optuna.Study) -> dict[str, Any]:
        import optuna

        trial = study.ask(to_distributions(self.space))
        result = self.result(trial)
        if result['state'] == 'pruned':
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, result['value'])
        return result

    def path(self, number: int) -> Path:
        return self.out / f'trial-{number:03d}.json'

    def result(self, trial: optuna.Trial) -> dict[str, Any]:
        r"""Return the result of a trial, from its file if it has ended."""
        path, folder = self.path(trial.number), self.path(trial.number).with_suffix('')
        if path.exists():
            found = _read_trial(path)
            if found['params'] != trial.params:
                raise ValueError(
                    f'{path} must hold the parameters that the sampler draws, '
                    f'{trial.params}, got {found["params"]}: the file was edited, or '
                    'the search was begun with another version of optuna'
                )
            for epoch, value in found['history']:
                trial.report(value, epoch)
        else:
            found = self.train(trial, folder)
            _write(path, found)
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def train(self, trial: optuna.Trial, folder: Path) -> dict[str, Any]:
        start = time.perf_counter()
        preset = with_params(self.preset, trial.params)
        resume = (folder / 'last.ckpt').is_file()
        if not resume:  # Delete what a trial left that was killed in its first epoch.
            shutil.rmtree(folder, ignore_errors=True)
        pruning = _Pruning(trial)
        found: dict[str, Any] = {'params': trial.params, 'state': 'complete'}
        data = self.interactions(preset)
        assert data.val_items is not None
        ks = fitting_cutoffs(data.val_items.num_items, (20,))
        try:
            model = self.model(preset)
            fit(
                model,
                data,
                folder,
                epochs=self.epochs,
                ks=ks,
                seed=self.seed,
                device=self.device,
                callbacks=[pruning],
                resume=resume,
                progress=False,
                **preset.get('fit', {}),
            )
            metrics = evaluate_ranker(model, data.val_items, data.train_items, ks)
            found['value'] = sum(metrics.values())
        except ValueError as error:
            if not by_hyper_parameters(error):
                raise
            found |= {'state': 'failed', 'value': _FAILED, 'error': str(error)}
        if pruning.pruned:
            found['state'] = 'pruned'
        found['history'] = pruning.history
        found['seconds'] = round(time.perf_counter() - start, 2)
        return found


class _Pruning(Callback):
    r"""Report every validation to a trial, and stop training if optuna prunes it."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.history: list[tuple[int, float]] = []
        self.pruned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer, pl_module)

    def _report(self, trainer: Trainer, pl_module: LightningModule) -> None:
        rows: Any = pl_module.history
        for row in rows[len(self.history) :]:
            value = sum(row[name] for name in row if '@' in name)
            self.history.append((int(row['epoch']), value))
            self.trial.report(value, int(row['epoch']))
        if self.history and self.trial.should_prune():
            self.pruned = trainer.should_stop = True


def _make_study(seed: int, prune: bool, epochs: int) -> optuna.Study:
    import optuna

    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if prune:
        pruner = optuna.pruners.MedianPruner(5, n_warmup_steps=epochs // 10)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    return optuna.create_study(direction='maximize', sampler=sampler, pruner=pruner)


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    r"""Suppress optuna's report of every trial and its warnings of experimental
    features."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            kind = optuna.exceptions.ExperimentalWarning
            warnings.filterwarnings('ignore', category=kind)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _rank(trial: dict[str, Any]) -> tuple[bool, float]:
    return trial['state'] == 'complete', trial['value']


def _write(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, indent=1)
        file.write('\n')


def _read(path: Path) -> dict[str, Any]:
    try:
        return parse_json_object(path.read_bytes())
    except ValueError as error:
        raise ValueError(f'{path} is damaged: {error}') from None


def _read_trial(path: Path) -> dict[str, Any]:
    found = _read(path)
    state, history = found.get('state'), found.get('history')
    if (
        state not in ('complete', 'pruned', 'failed')
        or not isinstance(found.get('params'), dict)
        or not is_number(found.get('value'))
        or not isinstance(history, list)
        or not all(
            isinstance(row, list) and len(row) == 2 and all(map(is_number, row))
            for row in history
        )
    ):
        raise ValueError(
            f'{path} must hold the params, state, value and history of a trial: '
            'delete it to run the trial again'
        )
    return found
