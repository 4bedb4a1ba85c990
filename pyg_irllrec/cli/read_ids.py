from __future__ import annotations

from pathlib import Path


def read_ids(option: str, path: Path) -> list[str]:
    r"""The ids that a text file holds, one per line; blank lines are passed over.

    Args:
        option (str): The option that names the file, for errors.
        path (pathlib.Path): The file, in UTF-8.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no text, or holds no id.
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
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    if not ids:
        raise ValueError(f'{option} {path} must hold one id per line, got none')
    return ids
