from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.fingerprint import check_same_model, fingerprint
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_instance
from pyg_irllrec.utils.trained_nodes import remember_nodes

_PREFIX = 'model.'  # LitRecommender saves the weights of its model under it.


def load_weights(
    model: Recommender, path: PathLike, *, check_data: bool = True
) -> None:
    r"""Load the weights of a checkpoint of :func:`~pyg_irllrec.training.fit`, such as
    :obj:`best.ckpt`, into a model that was built like the trained one. The model stays
    on its device.

    Args:
        model (Recommender): The model.
        path (str or Path): The checkpoint. Reading it runs no code.
        check_data (bool): Whether the graph, the texts and the settings that affect
            scores must equal those of the training. :obj:`False` loads the weights into
            a model of other data with the same sizes, such as a graph with newer
            interactions. (default: :obj:`True`)

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the checkpoint is damaged, or its model has other parts, sizes or
            data.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule, fit, load_weights
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> module = InteractionDataModule(data)
        >>> result = fit(build_model(data), module, 'run', epochs=1, progress=False)
        >>> model = build_model(data)
        >>> load_weights(model, 'run/best.ckpt')
    """
    check_instance('model', model, Recommender)
    check_flag('check_data', check_data)
    path = as_path('path', path)
    checkpoint = AtomicCheckpointIO().load_checkpoint(path)
    state = {
        name.removeprefix(_PREFIX): value
        for name, value in checkpoint['state_dict'].items()
        if name.startswith(_PREFIX)
    }
    own = {name: _kind(value) for name, value in model.state_dict().items()}
    theirs = {name: _kind(value) for name, value in state.items()}
    if own != theirs:
        differ = [
            f'{name} ({_show(theirs.get(name))}, not {_show(own.get(name))})'
            for name in sorted(own | theirs)
            if own.get(name) != theirs.get(name)
        ]
        raise ValueError(
            f"{path} must hold the weights of 'model', built alike: they differ in "
            f'{", ".join(differ[:3])}{", ..." if len(differ) > 3 else ""}. To change '
            'the number of users or items, train again'
        )
    nodes: dict[str, str] = {}
    if check_data:
        before = checkpoint.get('fingerprint', {})
        check_same_model(before, fingerprint(model), str(path))
        nodes = before.get('nodes') or {}
    remember_nodes(model, nodes)
    model.load_state_dict(state)


def _show(kind: Optional[tuple[torch.Size, bool, bool]]) -> str:
    if kind is None:
        return 'none'
    return str(tuple(kind[0])) + ('' if any(kind[1:]) else ' of integers')


def _kind(weight: Tensor) -> tuple[torch.Size, bool, bool]:
    r"""Return what two weights must have in common. Floating-point types are converted
    to each other."""
    return weight.shape, weight.is_floating_point(), weight.is_complex()
