from __future__ import annotations

from pathlib import Path

from pyg_irllrec.serving import Bundle, load


def open_bundle(path: Path, device: str = 'cpu') -> Bundle:
    r"""Read a bundle from its folder, or from the folder of its run.

    Args:
        path (pathlib.Path): The folder.
        device (str): The device of the model. :obj:`"auto"` is the CPU, because a
            single query is too small for a GPU to help. (default: :obj:`"cpu"`)

    Raises:
        FileNotFoundError: If there is no bundle.
        ValueError: If the bundle is damaged or has an unsupported version.
    """
    return load(path, 'cpu' if device == 'auto' else device)
