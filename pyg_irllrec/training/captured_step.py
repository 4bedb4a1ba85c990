from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import LossOutput, Recommender
from pyg_irllrec.training._cuda_graphs import CaptureError, graphs_of
from pyg_irllrec.training._fixed_ranking import fixed_ranking
from pyg_irllrec.training._fixed_state import FixedState, find_change, fixed_state
from pyg_irllrec.training._uncapturable import find_uncapturable
from pyg_irllrec.training.triplet_loader import TripletLoader
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_triplets
from pyg_irllrec.utils.warn_caller import warn_caller

_WARM_UP = 3
"""The number of eager steps per shape before a capture, as torch recommends."""

_MOST_SHAPES = 4
"""An epoch usually has two shapes: that of most batches and that of the last one."""

_MOST_CHANGES = 4
"""The number of graphs in a row that may be replayed only once: a capture takes longer
than an eager step."""


class CapturedStep:
    r"""A training step (forward, backward and optimizer) that a GPU replays as one
    CUDA graph. A step runs hundreds of small kernels, and launching them one by one
    takes longer than running them.

    The step computes the same as the plain loop of :obj:`zero_grad`, :obj:`loss`,
    :obj:`backward` and :obj:`optimizer.step`. It draws the same random numbers, from
    torch's generator of the device, and updates the momentum teacher. It keeps no
    gradients.

    For each batch shape, the first three steps run eagerly, and then the step is
    captured. It is captured again when the model, the optimizer or one of their
    settings has changed, such as the learning rate of an epoch. Make a setting that
    changes at every step a tensor on the device.

    Batches of whole users differ in size. Given their :obj:`loader`, the step pads them
    to one size with triplets of weight zero. A loss that ranks all items, such as
    :class:`~pyg_irllrec.nn.SoftmaxLoss`, then reads a fixed number of users.

    A step that cannot be captured runs eagerly, after one warning with the cause. These
    are a model that waits for the device or computes on the CPU, a loss of an earlier
    step that is still referenced, an optimizer that counts its steps on the CPU, and
    more than four batch shapes. On a CPU, all steps run eagerly.

    Args:
        model (Recommender): The model.
        optimizer (torch.optim.Optimizer): The optimizer of its weights, fused or
            capturable, such as :obj:`torch.optim.Adam(weights, fused=True)`.
        loader (TripletLoader, optional): The loader that you iterate over, not a copy
            of it. It is needed for batches of whole users. (default: :obj:`None`)

    Raises:
        ValueError: If the optimizer has no weight of the model.

    Example:
        >>> import torch
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import CapturedStep, InteractionDataModule
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> model = build_model(data)
        >>> optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        >>> step = CapturedStep(model, optimizer)
        >>> for triplets in InteractionDataModule(data).train_dataloader():
        ...     loss = step(triplets)
        >>> sorted(loss.terms)
        ['l2', 'ranking']
    """

    def __init__(
        self,
        model: Recommender,
        optimizer: torch.optim.Optimizer,
        loader: Optional[TripletLoader] = None,
    ) -> None:
        check_instance('model', model, Recommender)
        check_instance('optimizer', optimizer, torch.optim.Optimizer)
        if loader is not None:
            check_instance('loader', loader, TripletLoader)
        held = {
            id(each) for group in optimizer.param_groups for each in group['params']
        }
        if all(id(weight) not in held for weight in model.parameters()):
            raise ValueError(
                "'optimizer' must have weights of 'model', got those of another model: "
                'create it with model.parameters()'
            )
        self.model = model
        self.optimizer = optimizer
        self.loader = loader
        self._graphs = graphs_of(model.device)
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        self._names: tuple[str, ...] = ()
        self._changed = ''
        self._changes = 0

    @property
    def captures(self) -> bool:
        r"""Whether steps are captured, or will be after the first ones."""
        return self._graphs is not None

    def __call__(self, triplets: Tensor) -> LossOutput:
        r"""Train on a batch and return its loss, without a gradient.

        Args:
            triplets (torch.Tensor): User, positive item and negative item ids, all
                zero-based, of shape :math:`(3, B)`.

        Raises:
            ValueError: If the triplets have another shape, are more than
                :obj:`loader` draws, or have an id out of range; if gradients are
                disabled or the model is frozen; or if the optimizer computes losses
                itself or takes sparse gradients.
        """
        check_triplets(triplets, self.model.num_users, self.model.num_items)
        self._check_gradients()
        values = self._replay(triplets)
        if values is None:
            values = self._step(triplets)
        return LossOutput(values[0], dict(zip(self._names, values[1:])))

    def _check_gradients(self) -> None:
        if not torch.is_grad_enabled():
            raise ValueError(
                "'CapturedStep' must be called with gradients enabled: call it outside "
                'torch.no_grad() and torch.inference_mode()'
            )
        if not any(weight.requires_grad for weight in self.model.parameters()):
            raise ValueError(
                "'model' must have a weight that requires a gradient, got a frozen "
                'model: call model.requires_grad_()'
            )
        if isinstance(self.optimizer, (torch.optim.LBFGS, torch.optim.SparseAdam)):
            raise ValueError(
                "'optimizer' must take one step per batch, with dense gradients, got "
                f'{type(self.optimizer).__name__}: use another, such as Adam'
            )

    def _replay(self, triplets: Tensor) -> Optional[Tensor]:
        r"""Train on a batch and return the total and the terms of its loss, or return
        :obj:`None` if the caller must train on it eagerly."""
        if self._graphs is None:
            return None
        triplets = triplets.to(device=self.model.device)
        shape = self._find_shape(triplets)
        shape.write(triplets)
        if shape.replay is not None:
            self._look_for_change(shape)
        if shape.replay is None:
            if cause := self._find_cause():
                self._give_up(cause)
                return None
            if shape.steps < _WARM_UP:
                return self._warm_up(shape)
            try:
                self._capture(shape)
            except CaptureError as error:
                self._give_up(str(error))
                return None
        assert shape.replay is not None
        shape.replays += 1
        return shape.replay().clone()

    def _look_for_change(self, shape: _Shape) -> None:
        r"""Free the graph of a step if the model or the optimizer has changed."""
        change = find_change(shape.fixed, fixed_state(self.model, self.optimizer))
        if change is None:
            return
        self._changes = self._changes + 1 if shape.replays == 1 else 0
        self._changed = change
        shape.replay, shape.steps, shape.replays = None, _WARM_UP - 1, 0

    @property
    def _pads(self) -> bool:
        return self.loader is not None and self.loader.batch_by == 'user'

    def _find_shape(self, triplets: Tensor) -> _Shape:
        size = triplets.size(1)
        room = size, min(size, self.model.num_users)
        if self._pads:
            assert self.loader is not None
            room = self.loader.room
            if size > room[0]:
                raise ValueError(
                    f"'triplets' must be a batch of 'loader', {room[0]} triplets at "
                    f'most, got {size}: pass CapturedStep the same loader that you '
                    'iterate over'
                )
            if room not in self._shapes:  # Room only grows: drop smaller shapes.
                self._shapes.clear()
        if room not in self._shapes:
            self._shapes[room] = _Shape(triplets, *room, pads=self._pads)
        return self._shapes[room]

    def _find_cause(self) -> Optional[str]:
        r"""Return the cause for which no step can be captured, if it can be found
        without running a step."""
        cause = find_uncapturable(self.model, self.optimizer, self._pads)
        if cause is None and len(self._shapes) > _MOST_SHAPES:
            cause = f'batches have more than {_MOST_SHAPES} shapes'
        if cause is None and self._changes == _MOST_CHANGES:
            cause = f'{self._changed} changes at every step: make it a tensor on a GPU'
        return cause

    def _give_up(self, cause: str) -> None:
        warn_caller(f'training steps run eagerly, not as one CUDA graph: {cause}')
        self._graphs = None
        self._shapes.clear()

    def _warm_up(self, shape: _Shape) -> Tensor:
        assert self._graphs is not None
        shape.steps += 1
        # The first step sorts, compiles and allocates, which later steps do not repeat.
        if shape.steps == 1:
            return self._graphs.warm_up(lambda: self._step(*shape.given))
        values, cause = self._graphs.rehearse(lambda: self._step(*shape.given))
        if cause is not None:
            self._give_up(cause)
        return values

    def _capture(self, shape: _Shape) -> None:
        assert self._graphs is not None
        try:
            with _capturable(self.optimizer):
                shape.replay = self._graphs.capture(lambda: self._step(*shape.given))
        finally:
            self._clear_gradients()
        shape.fixed = fixed_state(self.model, self.optimizer)

    def _step(
        self,
        triplets: Tensor,
        weight: Optional[Tensor] = None,
        max_users: Optional[int] = None,
    ) -> Tensor:
        kind = triplets.device.type
        self._clear_gradients()
        # A cached cast would be one of the weights before the step.
        with torch.autocast(
            kind, enabled=torch.is_autocast_enabled(kind), cache_enabled=False
        ):
            with fixed_ranking(self.model, weight, max_users):
                loss = self.model.loss(triplets)
        with torch.autocast(kind, enabled=False):
            loss.total.backward()
        self.optimizer.step()
        self._clear_gradients()
        self._names = tuple(loss.terms)
        return torch.stack([loss.total, *loss.terms.values()]).detach()

    def _clear_gradients(self) -> None:
        self.optimizer.zero_grad()
        self.model.zero_grad()  # The optimizer may not have all weights.


class _Shape:
    r"""The progress of one batch shape towards a captured step, and the memory that the
    step reads batches from."""

    def __init__(
        self, triplets: Tensor, size: int, max_users: int, *, pads: bool
    ) -> None:
        self.batch = triplets.new_empty(3, size)
        self.weight: Optional[Tensor] = None
        if pads:
            self.weight = torch.empty(size, device=triplets.device)
        self.given = self.batch, self.weight, max_users
        self.steps = 0
        self.replay: Optional[Callable[[], Tensor]] = None
        self.replays = 0
        self.fixed: FixedState = {}

    def write(self, triplets: Tensor) -> None:
        r"""Copy a batch to this memory, and pad it with its last triplet."""
        size = triplets.size(1)
        self.batch[:, :size] = triplets
        if self.weight is not None:
            self.batch[:, size:] = triplets[:, -1:]
            self.weight[:size].fill_(1)
            self.weight[size:].fill_(0)


@contextmanager
def _capturable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    r"""Mark an optimizer as capturable during a capture. A fused optimizer already
    counts its steps on the device. Its checkpoints do not get the mark."""
    groups = [group for group in optimizer.param_groups if 'capturable' in group]
    before = [group['capturable'] for group in groups]
    for group in groups:
        group['capturable'] = True
    try:
        yield
    finally:
        for group, value in zip(groups, before):
            group['capturable'] = value
