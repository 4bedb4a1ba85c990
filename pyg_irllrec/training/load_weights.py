from __future__ import annotations

from pathlib import Path

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.typing import PathLike

_PREFIX = 'model.'  # Of LitRecommender.


def load_weights(model: Recommender, path: PathLike) -> None:
    r"""Puts the weights of a checkpoint of :func:`~pyg_irllrec.training.fit`, such as
    :obj:`best.ckpt`, into a model that was built as that one was. They are on the
    device of the model.

    Args:
        model (Recommender): The model.
        path (str or Path): The checkpoint. It is read without running code.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds a model of other parts or sizes.
    """
    path = Path(path)
    state = {
        name.removeprefix(_PREFIX): value
        for name, value in AtomicCheckpointIO()
        .load_checkpoint(path)['state_dict']
        .items()
        if name.startswith(_PREFIX)
    }
    own = {name: value.shape for name, value in model.state_dict().items()}
    theirs = {name: value.shape for name, value in state.items()}
    if own != theirs:
        differ = sorted(
            name for name in own | theirs if own.get(name) != theirs.get(name)
        )
        raise ValueError(
            f"{path} must hold the weights of 'model', built alike: they differ in "
            f'{", ".join(differ[:3])}{", ..." if len(differ) > 3 else ""}'
        )
    model.load_state_dict(state)
