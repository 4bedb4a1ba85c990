from __future__ import annotations

from pathlib import Path

from pyg_irllrec.serving.nodes import Nodes


def read_ids(option: str, path: Path, nodes: Nodes) -> list[str]:
    r"""The ids that a text file holds, one per line; blank lines are passed over.

    Args:
        option (str): The option that names the file, for errors.
        path (pathlib.Path): The file, in UTF-8.
        nodes (Nodes): What they are ids of.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no text, or holds no id or an unknown one.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise OSError(f'{option} {path} cannot be read: {error.strerror}') from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{option} {path} must hold one id per line in UTF-8, got the byte '
            f'{error.object[error.start]:#04x} at {error.start}'
        ) from None
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    ids = {number: line for number, line in lines.items() if line}
    if not ids:
        raise ValueError(f'{option} {path} must hold one id per line, got none')
    for number, each in ids.items():
        if each not in nodes:
            raise ValueError(
                f'{option} {path} must hold ids of {nodes.side}s that the model has, '
                f'such as {str(nodes[0])!r}, got {each[:100]!r} in line {number}'
            )
    return [*ids.values()]
