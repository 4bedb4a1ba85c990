from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from pyg_irllrec.nn import LossOutput, Recommender
from pyg_irllrec.nn._shared_loss import (
    send_no_buffers,
    send_saved_buffers,
    shared_loss,
)
from pyg_irllrec.nn.models.recommendation import Scorer, check_pairs
from pyg_irllrec.training._capture_step import capture_step
from pyg_irllrec.training._check_checkpoint import check_optimizer, check_progress
from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.training._step_clock import StepClock
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.captured_step import CapturedStep
from pyg_irllrec.training.cutoffs import as_cutoffs, fitting_cutoffs
from pyg_irllrec.training.fingerprint import (
    check_same_model,
    check_same_run,
    fingerprint,
    mark_state,
    same_run,
    with_state,
)
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.load_weights import load_weights
from pyg_irllrec.training.ranking_loader import RankingBatch
from pyg_irllrec.training.ranking_metrics import RankingMetrics
from pyg_irllrec.training.sampled_loss import sampled_loss
from pyg_irllrec.training.subgraph_sampler import SampledBatch
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_instance
from pyg_irllrec.utils.checks import check_positive, check_seed
from pyg_irllrec.utils.ranks import Ranks


class LitRecommender(LightningModule):
    r"""The Lightning module that trains a :class:`~pyg_irllrec.nn.Recommender`.

    :func:`~pyg_irllrec.training.fit` uses it with the authors' protocol. Use it with a
    :class:`lightning.pytorch.Trainer` of your own to change the protocol. With
    :obj:`strategy="ddp"` and several devices, all processes draw the same batches and
    share the rows of the loss, see :class:`~pyg_irllrec.distributed.DistributedLoss`.

    Every epoch seeds torch's generator from :obj:`seed` and its number. A run that is
    resumed after any epoch therefore continues like an uninterrupted run.

    It logs the :obj:`loss` of every step. For every validated epoch it logs the mean of
    each loss term under :obj:`train/`, and :obj:`val/recall@k` and :obj:`val/ndcg@k`.
    The test logs :obj:`test/recall@k` and :obj:`test/ndcg@k`.

    If the model has companions, :func:`~pyg_irllrec.training.fit` chooses their weights
    at the end. With a trainer of your own, call
    :obj:`model.calibrate(data.val_items, data.train_items)`.

    Args:
        model (Recommender): The model.
        lr (float): The learning rate of Adam. (default: :obj:`1e-3`)
        ks (sequence of int, optional): The cut-offs of Recall and NDCG.
            (default: :obj:`None`, those of
            :func:`~pyg_irllrec.training.fitting_cutoffs`)
        seed (int): The seed. (default: :obj:`0`)
        capture (bool): Whether to run a step on a GPU as one CUDA graph, see
            :class:`~pyg_irllrec.training.CapturedStep`. If the trainer or a callback
            changes a step, such as by clipping gradients, steps run eagerly, after a
            warning. (default: :obj:`True`)

    Attributes:
        settings (dict): The settings that a resumed run must share with the run that it
            continues.
        fingerprint (dict): The :func:`~pyg_irllrec.training.fingerprint` of the run,
            which a resumed run must share, too. Empty before training.
        history (list of dict): A row per validation, with the epoch, the mean of every
            loss term in that epoch, and the metrics, if any. It is part of checkpoints.
        step_seconds (list of float): The time of every training step of this process.

    Raises:
        ValueError: If an argument is out of range, or a cut-off is above the number of
            items.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from lightning.pytorch.callbacks import ModelCheckpoint
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule, LitRecommender
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> lit = LitRecommender(build_model(data))
        >>> best = ModelCheckpoint('runs/hand', monitor='val/recall@5', mode='max')
        >>> quiet = {'enable_progress_bar': False, 'enable_model_summary': False}
        >>> trainer = Trainer(max_epochs=1, callbacks=[best], logger=False, **quiet)
        >>> trainer.fit(lit, datamodule=InteractionDataModule(data))
        >>> list(lit.history[0])
        ['epoch', 'loss', 'l2', 'ranking', 'recall@5', 'recall@10', 'ndcg@5', 'ndcg@10']
    """

    def __init__(
        self,
        model: Recommender,
        lr: float = 1e-3,
        ks: Optional[Sequence[int]] = None,
        seed: int = 0,
        capture: bool = True,
    ) -> None:
        super().__init__()
        check_instance('model', model, Recommender)
        check_positive('lr', lr)
        check_seed(seed)
        check_flag('capture', capture)
        ks = fitting_cutoffs(model.num_items) if ks is None else as_cutoffs(ks)
        metrics = RankingMetrics(ks)
        if max(ks) > model.num_items:
            raise ValueError(
                f"'ks' must be at most {model.num_items}, the number of items, got "
                f'{max(ks)}: use fitting_cutoffs(num_items) of '
                'pyg_irllrec.training'
            )
        self.model = model
        # Numbers of NumPy cannot be read back from a checkpoint.
        self.lr = float(lr)
        self.seed = int(seed)
        self.capture = bool(capture)
        self.metrics = metrics
        self.settings: dict[str, Any] = {
            'lr': self.lr,
            'ks': list(ks),
            'seed': self.seed,
        }
        self.fingerprint: dict[str, Any] = {}
        self.history: list[dict[str, float]] = []
        self.step_seconds: list[float] = []
        self._initial_buffers: dict[str, Tensor] = {}
        self._initial_versions: dict[str, int] = {}
        self._clock = StepClock(torch.device('cpu'))
        self._sums: dict[str, Tensor] = {}
        self._first_loss: Tensor | None = None
        self._captured: CapturedStep | None = None
        self._embeddings: tuple[Tensor, Tensor] | None = None
        self._scorer: Scorer | None = None

    def forward(self, edge_label_index: Tensor) -> Tensor:
        r"""Return the scores of user and item ids of shape :math:`(2, B)`."""
        scores: Tensor = self.model(edge_label_index)
        return scores

    def configure_optimizers(self) -> torch.optim.Optimizer:
        r"""Return a fused Adam without weight decay over the trainable weights."""
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        # In mixed precision, Lightning cannot clip gradients with a fused optimizer.
        clips = self._trainer is not None and bool(self._trainer.gradient_clip_val)
        return torch.optim.Adam(weights, lr=self.lr, fused=not clips)

    def setup(self, stage: str) -> None:
        r"""Compute the fingerprint before a checkpoint is read."""
        if stage == 'fit':
            _check_averaging(self.trainer.callbacks)  # type: ignore[attr-defined]
            data = getattr(self.trainer, 'datamodule', None)
            known = data if isinstance(data, InteractionDataModule) else None
            self.fingerprint = fingerprint(self.model, known)
            if self._ranks is not None:
                self._share_model()

    @property
    def _ranks(self) -> Ranks | None:
        r"""The processes, if there are several."""
        return Ranks() if self.trainer.world_size > 1 else None

    def _share_model(self) -> None:
        r"""Check that all processes have the same model and data."""
        strategy = self.trainer.strategy
        is_same = same_run(strategy.broadcast(self.fingerprint), self.fingerprint)
        if not strategy.reduce_boolean_decision(is_same):
            raise ValueError(
                "'model' and 'data' must be the same in all processes, got a process "
                'where they differ: build them from the same files and seeds'
            )
        send_no_buffers(self)

    def on_train_start(self) -> None:
        r"""Record the buffers, to find those that training changes, and prepare to
        capture steps."""
        if self._ranks is not None:
            send_saved_buffers(self.model, self._ranks)
        self._initial_buffers = dict(self.model.named_buffers())
        self._initial_versions = {
            name: _version(value) for name, value in self._initial_buffers.items()
        }
        if self.capture:
            self._captured = capture_step(self, self.model, LitRecommender)

    def on_train_end(self) -> None:
        r"""Free captured steps."""
        self._captured = None

    def on_train_epoch_start(self) -> None:
        r"""Seed torch's generator for the epoch."""
        torch.manual_seed(derive_seed(self.seed, self.current_epoch, 'model'))
        self._sums = {}
        self._clock = StepClock(self.device)

    def training_step(
        self, triplets: Union[Tensor, SampledBatch], batch_idx: int
    ) -> Tensor:
        r"""Return the total loss of a batch."""
        self._clock.tick()
        if self._captured is not None:
            assert isinstance(triplets, Tensor)
            loss = self._captured(triplets)  # It also runs backward and the optimizer.
        else:
            first = batch_idx % self.trainer.accumulate_grad_batches == 0
            loss = self._loss(triplets, first, batch_idx)
        for name, term in {'loss': loss.total, **loss.terms}.items():
            # Sum on the device: reading a loss here would wait for every step.
            self._sums[name] = self._sums.get(name, 0.0) + term.detach()
        shown, several = loss.total.detach(), self.trainer.world_size > 1
        if self.current_epoch == 0 and batch_idx == 0:
            self._first_loss = shown.clone()
        self.log('loss', shown, prog_bar=True, sync_dist=several)
        return loss.total

    def _loss(
        self, triplets: Union[Tensor, SampledBatch], first: bool, batch_idx: int
    ) -> LossOutput:
        r"""Return the loss of this process. Its mean over processes is the loss of the
        batch."""
        if isinstance(triplets, SampledBatch):
            return sampled_loss(self.model, triplets, update_teacher=first)
        ranks = self._ranks
        if ranks is None:
            return self.model.loss(triplets, update_teacher=first)
        if batch_idx == 0:
            _check_same_batch(triplets, ranks)
        with shared_loss(self.model, ranks):
            return self.model.loss(triplets, update_teacher=first)

    def backward(self, loss: Tensor) -> None:
        r"""Run the backward pass of an eager step. A captured step has run its own and
        leaves no gradients, so that the optimizer of Lightning does nothing."""
        if self._captured is None:
            loss.backward()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        r"""Record the end of the last step of an epoch."""
        if self.trainer.is_last_batch:
            self._clock.tick()

    def on_validation_epoch_start(self) -> None:
        r"""Embed the graph once for all batches. During training, rank without
        companions, because their weights are chosen afterwards."""
        self._mean_terms()  # It raises an error if training has diverged.
        if self.model.blends and self.trainer.state.fn != TrainerFn.FITTING:
            self._scorer = self.model.scorer()
        else:
            self._embeddings = self.model.get_embeddings()
        self.metrics.reset()

    def validation_step(self, batch: RankingBatch, batch_idx: int) -> None:
        r"""Rank all items for a batch of users."""
        if self._scorer is not None:
            self.metrics.rank_scores(self._scorer(batch.user), batch)
        else:
            assert self._embeddings is not None
            self.metrics.rank(*self._embeddings, batch)

    def on_validation_epoch_end(self) -> None:
        r"""Log the metrics and add a row to the history."""
        values = self._compute_metrics()
        self.log_dict({f'val/{name}': value for name, value in values.items()})
        self.log(
            'val_recall',
            values[f'recall@{self.metrics.max_k}'],
            prog_bar=True,
            logger=False,
        )
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        if fitting and not self.trainer.sanity_checking:
            self._record(values)
        self._forget()

    def on_train_epoch_end(self) -> None:
        r"""Read the clock. Without validation, add a row to the history."""
        self.step_seconds += self._clock.read()
        epoch, every = self.current_epoch + 1, self.trainer.check_val_every_n_epoch
        if sum(self.trainer.num_val_batches) > 0:
            return
        if epoch % (every or 1) == 0 or epoch == self.trainer.max_epochs:
            self._record({})

    def _record(self, metrics: dict[str, float]) -> None:
        terms = self._mean_terms()
        self.log_dict({f'train/{name}': value for name, value in terms.items()})
        self.history.append({'epoch': self.current_epoch + 1, **terms, **metrics})

    def _mean_terms(self) -> dict[str, float]:
        r"""Return the mean of every loss term in this epoch, or raise a
        :class:`ValueError` if one is not finite."""
        steps = max(self.trainer.num_training_batches, 1)
        terms = {name: value / steps for name, value in self._sum_terms().items()}
        for name, value in terms.items():
            if not math.isfinite(value):
                raise self._diverged(name, value)
        return terms

    def _diverged(self, name: str, value: float) -> ValueError:
        first = self._first_loss
        if first is not None and not bool(first.isfinite()):
            return ValueError(
                f"the loss of 'model' must be finite before training, got "
                f'{float(first)} in the first step: check that its backbone returns '
                'finite embeddings, and that its weights and texts are finite'
            )
        return ValueError(
            f'training diverged: {name!r} is {value} in epoch '
            f'{self.current_epoch + 1} (try a lower learning rate)'
        )

    def _sum_terms(self) -> dict[str, float]:
        r"""Return the sum of every loss term in this epoch, averaged over processes."""
        if self._ranks is None or not self._sums:
            return {name: float(value) for name, value in self._sums.items()}
        sums = torch.stack(list(self._sums.values()))
        self._ranks.add(sums)
        return dict(zip(self._sums, (sums / self._ranks.size).tolist()))

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        r"""Log the test metrics."""
        self.log_dict(
            {f'test/{name}': value for name, value in self._compute_metrics().items()}
        )
        self._forget()

    def _compute_metrics(self) -> dict[str, float]:
        r"""Return the metrics of the users of all processes."""
        if self._ranks is not None:
            self.metrics.reduce(self._ranks)
        return {name: float(value) for name, value in self.metrics.compute().items()}

    def _forget(self) -> None:
        self._embeddings = self._scorer = None

    def on_predict_epoch_start(self) -> None:
        r"""Embed the graph once for all batches."""
        if self.model.blends:
            self._scorer = self.model.scorer()
        else:
            self._embeddings = self.model.get_embeddings()

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        r"""Return the scores of a batch of pairs.
        :meth:`lightning.pytorch.Trainer.predict` collects them in a list.

        .. code-block:: python

            batches = DataLoader(edge_label_index.split(1024, dim=1), batch_size=None)
            scores = torch.cat(trainer.predict(lit, batches))

        Args:
            batch (torch.Tensor): User ids in the first row and item ids in the second,
                of shape :math:`(2, B)`.
            batch_idx (int): The number of the batch.

        Raises:
            ValueError: If the batch has another type or shape, or an id is out of
                range.
        """
        if not isinstance(batch, Tensor):
            raise ValueError(
                "'batch' must be a tensor of user and item ids of shape (2, num_pairs)"
                f', got {type(batch).__name__}: predict with '
                'DataLoader(edge_label_index.split(1024, dim=1), batch_size=None)'
            )
        sizes = self.model.num_users, self.model.num_items
        pairs = check_pairs('batch', batch, *sizes).long()
        if self._embeddings is None:
            return self.model.score_pairs(pairs[0], pairs[1], self._scorer)
        user, item = self._embeddings
        return (user[pairs[0]] * item[pairs[1]]).sum(dim=-1)

    def on_predict_epoch_end(self) -> None:
        r"""Free the embeddings."""
        self._forget()

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: PathLike, model: Optional[Recommender] = None
    ) -> LitRecommender:
        r"""Return the module of a checkpoint, with its settings and its history.

        Args:
            checkpoint_path (str or pathlib.Path): The checkpoint. Reading it runs no
                code.
            model (Recommender): A model that was built like the model of the
                checkpoint. The weights are loaded into it, see
                :func:`~pyg_irllrec.training.load_weights`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If no model is given, or the checkpoint is damaged or has
                another model.
        """
        if not isinstance(model, Recommender):
            raise ValueError(
                "'model' must be a Recommender, because a checkpoint holds only "
                f'weights, got {type(model).__name__}: build the model, then call '
                'LitRecommender.load_from_checkpoint(path, model=model) or '
                'load_weights(model, path)'
            )
        checkpoint_path = as_path('checkpoint_path', checkpoint_path)
        checkpoint = AtomicCheckpointIO().load_checkpoint(checkpoint_path)
        load_weights(model, checkpoint_path)
        settings = checkpoint['settings']
        lit = cls(model, settings['lr'], settings['ks'], settings['seed'])
        lit.settings, lit.history = settings, checkpoint['history']
        lit.fingerprint = checkpoint['fingerprint']
        return lit

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        r"""Save the history, the settings and the fingerprint."""
        if self.fingerprint:
            # A value that training changes, such as a counter, is not a setting.
            changed = [
                name
                for name, value in self.model.named_buffers()
                if value is not self._initial_buffers.get(name)
                or _version(value) != self._initial_versions[name]
            ]
            self.fingerprint = mark_state(self.fingerprint, self.model, changed)
        checkpoint['fingerprint'] = self.fingerprint or fingerprint(self.model)
        checkpoint['history'] = self.history
        checkpoint['settings'] = self.settings

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        r"""Restore the history.

        Raises:
            ValueError: If the checkpoint has another model, other data or other
                settings.
        """
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        if fitting:
            self.check_settings(checkpoint['settings'])
        before, path = checkpoint.get('fingerprint'), self.trainer.ckpt_path
        if fitting:
            folder = f' in {Path(path).parent}' if path else ''
            check_same_run(before, self.fingerprint, f'the run{folder}')
        else:
            now = with_state(fingerprint(self.model), self.fingerprint)
            check_same_model(before, now, str(path or 'the checkpoint'))
        own = _shapes(self.state_dict())
        for name in ('state_dict', 'current_model_state'):
            if name in checkpoint and _shapes(checkpoint[name]) != own:
                raise ValueError(
                    "the model of the checkpoint must have the parts of 'model' with "
                    'their sizes, got other parts or sizes, or parts in another order'
                )
        if fitting:
            self._check_progress(checkpoint, str(path or 'the checkpoint'))
        self.history = checkpoint['history']

    def _check_progress(self, checkpoint: dict[str, Any], path: str) -> None:
        r"""Check the parts that Lightning and torch restore without a check."""
        trainer = self.trainer
        loops = {'fit_loop': trainer.fit_loop.state_dict()}
        check_progress(checkpoint, 'loops', loops, path)
        known = checkpoint.get('callbacks')
        states = {
            callback.state_key: callback.state_dict()
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if _is_known(callback)
            and (not isinstance(known, dict) or callback.state_key in known)
        }
        check_progress(checkpoint, 'callbacks', states, path)
        if type(self).configure_optimizers is LitRecommender.configure_optimizers:
            found = checkpoint.get('optimizer_states')
            check_optimizer(found, self.configure_optimizers(), path)

    def check_settings(self, before: dict[str, Any]) -> None:
        r"""Raise a :class:`ValueError` unless the :obj:`settings` of a checkpoint equal
        those of this run."""
        for name, value in before.items():
            if self.settings.get(name) != value:
                raise ValueError(
                    f'the run was begun with {name}={value}: resume it with the same, '
                    f'got {name}={self.settings.get(name)}'
                )


def _shapes(state: dict[str, Tensor]) -> list[tuple[str, torch.Size]]:
    r"""Return names and shapes in order, because the optimizer identifies parameters by
    their positions."""
    return [(name, value.shape) for name, value in state.items()]


def _check_same_batch(triplets: Tensor, ranks: Ranks) -> None:
    r"""Raise a :class:`ValueError` unless all processes have the same batch."""
    size = triplets.size(1)
    place = torch.arange(1, size + 1, device=triplets.device)
    if not ranks.agree(torch.stack([place[-1], (triplets * place).sum()])):
        raise ValueError(
            'all processes must draw the same batches of triplets, got different '
            'batches: train with an InteractionDataModule, or with '
            'Trainer(use_distributed_sampler=False) and the same seed in all processes'
        )


def _check_averaging(callbacks: list[Callback]) -> None:
    r"""Raise a :class:`ValueError` if a callback averages buffers: one of them has the
    node numbers of the graph."""
    for callback in callbacks:
        if getattr(callback, '_use_buffers', False):
            raise ValueError(
                f"'use_buffers' of {type(callback).__name__} must be False, got True: "
                'the graph of a model is a buffer and cannot be averaged'
            )


def _is_known(callback: Callback) -> bool:
    r"""Whether a callback is not the user's own, so that its state has a known form."""
    return type(callback).__module__.partition('.')[0] in (
        'lightning',
        'pytorch_lightning',
        'pyg_irllrec',
    )


def _version(value: Tensor) -> int:
    r"""Return a number that increases when a tensor is changed in place."""
    return 0 if value.is_inference() else value._version
