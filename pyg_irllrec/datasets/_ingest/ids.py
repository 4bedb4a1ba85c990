"""The one rule of ids, for every table and for every look-up by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.utils.clean_id import BLANKS

# What pandas.read_csv reads as missing, and what databases and programs write.
_MISSING_WORDS = (
    '', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND',
    '1.#QNAN', '<NA>', 'N/A', 'NA', 'NULL', 'NaN', 'None', 'n/a', 'nan', 'null',
    r'\N', 'NaT', 'Null', 'NONE', 'none',
)  # fmt: skip
_INTEGER = r'^((0|-?[1-9][0-9]{0,18})(\.0+)?|-0\.0+)$'
_LOSSY = r'^[-+]?[0-9]+(\.[0-9]+)?[eE]\+[0-9]+$|^-?[0-9]{16,}\.0+$'
EXACT_BELOW = {'halffloat': 2**11, 'float': 2**24, 'double': 2**53}
"""From here on, a float may stand for several integers."""


def to_ids(values: Any, cell: CellLocation) -> Any:
    r"""Converts a column to an Arrow array of :obj:`int64` or of strings
    (:obj:`large_string`) that are to be cleaned by :func:`clean_ids`."""
    values = decode(values)
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
    cell.fail(f'must hold ids that are integers or strings, got {kind}')


def _from_integers(values: Any) -> Any:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:  # uint64
        return values.cast(pa.large_string())


def _from_floats(values: Any, cell: CellLocation) -> Any:
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    fraction = ~np.isfinite(numbers) | (numbers != np.trunc(numbers))
    reason = 'must hold ids that are integers or strings'
    cell.fail_where(pa.array(fraction), reason, values)
    lossy = np.abs(numbers) >= EXACT_BELOW[str(values.type)]
    cell.fail_where(pa.array(lossy), _lossy_reason(), values)
    return pa.array(numbers.astype(np.int64))


def _from_decimals(values: Any, cell: CellLocation) -> Any:
    for row in range(len(values)):
        number = values[row].as_py()
        if number != number.to_integral_value():
            cell.fail('must hold ids that are integers or strings', row, number)
    return pa.array([f'{each.as_py():.0f}' for each in values], pa.large_string())


def _lossy_reason() -> str:
    return (
        'holds an id that was written as a float, which may have lost digits: write '
        'ids as integers or strings'
    )


def clean_ids(ids: Any) -> Any:
    r"""Strings without blanks at their ends, in Unicode's composed form (NFC)."""
    if not pc.all(pc.string_is_ascii(ids)).as_py():
        ids = pc.utf8_normalize(ids, 'NFC')
    return pc.utf8_trim(ids, BLANKS)


def find_wrong_id(ids: Any) -> Optional[tuple[int, str]]:
    r"""The place of the first string that is no id, and why it is none."""
    missing = pc.is_in(ids, pa.array(_MISSING_WORDS, pa.large_string()))
    place = pc.index(missing, True).as_py()
    if place >= 0:
        return place, 'lacks an id'
    for place in _positions(pc.match_substring_regex(ids, _LOSSY)):
        text = ids[place].as_py()
        if 'e' in text.lower() or abs(int(text.partition('.')[0])) >= 2**53:
            return place, _lossy_reason()
    return None


def _positions(mask: Any) -> Sequence[int]:
    positions: list[int] = pc.indices_nonzero(mask).to_pylist()
    return positions


def parse_integers(ids: Any) -> Any:
    r"""Parses clean strings as :obj:`int64`, null where they are no integers."""
    matches = pc.match_substring_regex(ids, _INTEGER)
    integers = pc.replace_substring_regex(pc.if_else(matches, ids, None), r'\.0+$', '')
    try:
        return integers.cast(pa.int64())
    except pa.ArrowInvalid:  # Beyond int64.
        fits = [
            value is not None and -(2**63) <= int(value) < 2**63
            for value in integers.to_pylist()
        ]
        return pc.if_else(pa.array(fits), integers, None).cast(pa.int64())


def match_ids(values: Any, cell: CellLocation, integers: bool) -> Any:
    r"""Converts a column to what it is compared with: integers, null for other ids, or
    clean strings."""
    values = to_ids(values, cell)
    if pa.types.is_large_string(values.type):
        values = clean_ids(values)
        if wrong := find_wrong_id(values):
            place, reason = wrong
            cell.fail(reason, place, values[place])
        return parse_integers(values) if integers else values
    return values if integers else values.cast(pa.large_string())
