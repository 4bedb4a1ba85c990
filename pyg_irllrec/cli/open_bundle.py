from __future__ import annotations

from pathlib import Path

from pyg_irllrec.serving import Bundle, load


def open_bundle(path: Path, device: str = 'cpu') -> Bundle:
    r"""Read a bundle, from its own folder or from the run that it lies in.

    Args:
        path (pathlib.Path): The folder.
        device (str): Where its model goes; :obj:`"auto"` is the CPU: one query is too
            small for more. (default: :obj:`"cpu"`)

    Raises:
        FileNotFoundError: If there is no bundle.
        ValueError: If it is damaged or of another version.
    """
    return load(path, 'cpu' if device == 'auto' else device)
