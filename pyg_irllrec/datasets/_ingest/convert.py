from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.typing import FloatArray

Cast = Callable[[Any], npt.NDArray[Any]]


def is_text_or_number(kind: Any) -> bool:
    r"""Whether an Arrow type holds numbers, or strings that may be numbers. Booleans,
    which Arrow would silently cast to numbers, do not count."""
    return bool(
        pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
    )


def to_double(values: Any) -> FloatArray:
    r"""Convert numbers, or strings of a number alone, to :obj:`float64`. Large integers
    are rounded."""
    safe = not pa.types.is_integer(values.type)
    cast = values.cast(pa.float64(), safe=safe)
    out: FloatArray = cast.to_numpy(zero_copy_only=False)
    return out


def to_trimmed_double(values: Any) -> FloatArray:
    r"""Convert strings of a number, possibly between blanks, to :obj:`float64`."""
    return to_double(pc.utf8_trim_whitespace(values))


def try_casts(values: Any, casts: Sequence[Cast]) -> npt.NDArray[Any] | None:
    r"""Convert values by the first cast that accepts all of them, if any."""
    for cast in casts:
        try:
            return cast(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    return None


def convert(
    values: Any, casts: Sequence[Cast], cell: CellLocation, reason: str
) -> npt.NDArray[Any]:
    r"""Convert values by the first cast that accepts all of them. If there is none,
    convert each half separately, so that the error names the first wrong value."""
    converted = try_casts(values, casts)
    if converted is not None:
        return converted
    if len(values) == 1:
        cell.fail(reason, value=values[0])
    half = len(values) // 2
    rest = cell._replace(row=cell.row + half)
    return np.concatenate(
        [
            convert(values[:half], casts, cell, reason),
            convert(values[half:], casts, rest, reason),
        ]
    )
