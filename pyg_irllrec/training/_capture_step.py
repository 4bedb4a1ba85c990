r"""Whether a run of Lightning can capture its steps as a CUDA graph."""

from __future__ import annotations

from typing import Optional

from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import (
    Callback,
    GradientAccumulationScheduler,
    StochasticWeightAveraging,
)
from lightning.pytorch.strategies import SingleDeviceStrategy

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.captured_step import CapturedStep
from pyg_irllrec.training.sampled_data_module import SampledLoader
from pyg_irllrec.training.triplet_loader import TripletLoader
from pyg_irllrec.utils.warn_caller import warn_caller

_HOOKS = (
    'on_before_zero_grad',
    'on_before_backward',
    'on_after_backward',
    'on_before_optimizer_step',
)
_STEPS = (
    'training_step',
    'backward',
    'optimizer_zero_grad',
    'optimizer_step',
    'configure_gradient_clipping',
)


def capture_step(
    lit: LightningModule, model: Recommender, own: type[LightningModule]
) -> Optional[CapturedStep]:
    r"""Return the captured step of a run that is about to start, or :obj:`None` if its
    device cannot capture steps. If Lightning or a callback changes a step, warn with
    the cause and return :obj:`None`, too.

    Args:
        lit (LightningModule): The module that is trained.
        model (Recommender): Its model.
        own (type): The class whose methods a captured step replaces. A subclass must
            not override them.
    """
    if len(lit.trainer.optimizers) != 1:
        return None  # Lightning raises an error.
    loader = lit.trainer.train_dataloader
    if isinstance(loader, SampledLoader):
        return None  # Sampled graphs differ in size.
    if not isinstance(loader, TripletLoader):
        loader = None
    step = CapturedStep(model, lit.trainer.optimizers[0], loader)
    if not step.captures:
        return None
    if cause := _find_cause(lit, own):
        warn_caller(f'training steps run eagerly, not as one CUDA graph: {cause}')
        return None
    return step


def _find_cause(lit: LightningModule, own: type[LightningModule]) -> Optional[str]:
    trainer = lit.trainer
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        return f'the strategy is {type(trainer.strategy).__name__}'
    if getattr(trainer.precision_plugin, 'scaler', None) is not None:
        return f'precision {trainer.precision} scales the loss'
    if trainer.accumulate_grad_batches > 1:
        return 'gradients are accumulated over several batches'
    if trainer.gradient_clip_val:
        return 'gradients are clipped'
    for name in (*_STEPS, *_HOOKS):
        if getattr(type(lit), name) is not getattr(own, name):
            return f'{type(lit).__name__}.{name} changes a step'
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        kind = type(callback)
        for name in _HOOKS:
            if getattr(kind, name) is not getattr(Callback, name):
                return f'{kind.__name__}.{name} may change a step'
        if isinstance(callback, GradientAccumulationScheduler):
            return 'gradients are accumulated over several batches'
        if isinstance(
            callback, StochasticWeightAveraging
        ) and callback.pl_module_contains_batch_norm(lit):
            return f'{kind.__name__} adds an epoch without training'
    return None
