from __future__ import annotations

from pathlib import Path

from pyg_irllrec.serving.nodes import Nodes


def read_ids(option: str, path: Path, nodes: Nodes) -> list[str]:
    r"""Read a text file with one id per line. Blank lines are skipped.

    Args:
        option (str): The option that names the file, for errors.
        path (pathlib.Path): The file, in UTF-8.
        nodes (Nodes): The users or items of the model.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file is not UTF-8 text, has no ids, or has an unknown id.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise OSError(f'{option} {path} cannot be read: {error.strerror}') from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{option} {path} must contain one id per line in UTF-8, got the byte '
            f'{error.object[error.start]:#04x} at position {error.start}'
        ) from None
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    ids = {number: line for number, line in lines.items() if line}
    if not ids:
        raise ValueError(f'{option} {path} must contain one id per line, got no id')
    for number, each in ids.items():
        if each not in nodes:
            raise ValueError(
                f'{option} {path} must contain ids of {nodes.side}s of the model, '
                f'such as {str(nodes[0])!r}, got {each[:100]!r} in line {number}'
            )
    return [*ids.values()]
