"""The rules for ids, shared by all tables and all look-ups by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.utils.clean_id import (
    BLANKS,
    LOST_DIGITS,
    MISSING_WORDS,
    SUSPECT,
    WHOLE_FLOAT,
    id_fault,
)

_INTEGER = r'^(0|-?[1-9][0-9]{0,18})$'
_EXPECTED = 'must hold ids that are integers or strings'
EXACT_BELOW = {'halffloat': 2**11, 'float': 2**24, 'double': 2**53}
"""From these values on, a float may represent several integers."""


def to_ids(values: Any, cell: CellLocation) -> Any:
    r"""Convert a column to an Arrow array of :obj:`int64`, or of strings
    (:obj:`large_string`) that :func:`clean_ids` has yet to clean."""
    values = decode(values, cell)
    kind = values.type
    if values.null_count > 0 or pa.types.is_floating(kind):
        cell.fail_where(pc.is_null(values, nan_is_null=True), 'lacks an id')
    if pa.types.is_large_string(kind):
        return values
    if pa.types.is_integer(kind):
        return _from_integers(values)
    if pa.types.is_floating(kind):
        return _from_floats(values, cell)
    if pa.types.is_decimal(kind):
        return _from_decimals(values, cell)
    cell.fail(f'{_EXPECTED}, got {kind}')


def _from_integers(values: Any) -> Any:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:  # uint64
        return values.cast(pa.large_string())


def _from_floats(values: Any, cell: CellLocation) -> Any:
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    fraction = ~np.isfinite(numbers) | (numbers != np.trunc(numbers))
    cell.fail_where(pa.array(fraction), _EXPECTED, values)
    lossy = np.abs(numbers) >= EXACT_BELOW[str(values.type)]
    cell.fail_where(pa.array(lossy), LOST_DIGITS, values)
    return pa.array(numbers.astype(np.int64))


def _from_decimals(values: Any, cell: CellLocation) -> Any:
    for row in range(len(values)):
        number = values[row].as_py()
        if number != number.to_integral_value():
            cell.fail(_EXPECTED, row, number)
    return pa.array([f'{each.as_py():.0f}' for each in values], pa.large_string())


def clean_ids(ids: Any, fail: Callable[[str, int], NoReturn]) -> Any:
    r"""Clean all strings as :func:`~pyg_irllrec.utils.clean_id.clean_id` does.

    Args:
        ids (pyarrow.Array): Strings.
        fail (callable): Raises an error, given the reason and the position of the first
            string that is not an id.
    """
    if not pc.all(pc.string_is_ascii(ids)).as_py():
        ids = pc.utf8_normalize(ids, 'NFC')
    ids = pc.utf8_trim(ids, BLANKS)
    missing = pc.is_in(ids, pa.array(MISSING_WORDS, pa.large_string()))
    suspect = pc.or_(missing, pc.match_substring_regex(ids, SUSPECT))
    for place in pc.indices_nonzero(suspect).to_pylist():
        if reason := id_fault(ids[place].as_py()):
            fail(reason, place)
    return pc.replace_substring_regex(ids, WHOLE_FLOAT, r'\1\2')


def parse_integers(ids: Any) -> Any:
    r"""Parse clean strings as :obj:`int64`, null if they are not integers."""
    matches = pc.match_substring_regex(ids, _INTEGER)
    integers = pc.if_else(matches, ids, None)
    try:
        return integers.cast(pa.int64())
    except pa.ArrowInvalid:  # Beyond int64.
        fits = [
            value is not None and -(2**63) <= int(value) < 2**63
            for value in integers.to_pylist()
        ]
        return pc.if_else(pa.array(fits), integers, None).cast(pa.int64())


def match_ids(values: Any, cell: CellLocation, integers: bool) -> Any:
    r"""Convert a column to compare it with known ids: to integers, with null for other
    ids, or to clean strings."""
    values = to_ids(values, cell)
    if not pa.types.is_large_string(values.type):
        return values if integers else values.cast(pa.large_string())
    cleaned = clean_ids(
        values, lambda reason, place: cell.fail(reason, place, values[place])
    )
    return parse_integers(cleaned) if integers else cleaned
