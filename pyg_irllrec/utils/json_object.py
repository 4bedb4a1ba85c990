from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn, Union


def parse_json_object(text: Union[str, bytes]) -> dict[str, Any]:
    r"""Parse one JSON object strictly: names must be unique, and numbers finite.

    Args:
        text (str or bytes): The JSON text, in UTF-8 if it is bytes.

    Raises:
        ValueError: If the text is not such an object, is nested too deeply, or is not
            UTF-8.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode('utf-8')
        value = json.loads(
            text, object_pairs_hook=_to_dict, parse_constant=_refuse, parse_float=_float
        )
    except RecursionError:
        raise ValueError('its JSON is nested too deeply') from None
    if not isinstance(value, dict):
        kind = 'null' if value is None else f'a {type(value).__name__}'
        raise ValueError(f'it must hold a JSON object, got {kind}')
    return value


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'its JSON has the name {twice[:80]!r} twice')
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f'its JSON holds {constant}, which JSON does not allow')


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float('inf'), float('-inf')):
        raise ValueError(f'its JSON holds {digits[:80]}, which is not finite')
    return value
