from __future__ import annotations

import numpy as np
import pytest

from pyg_irllrec.utils.check_count import check_count


def test_integers():
    check_count('k', 1)
    check_count('k', np.int64(3))
    check_count('k', 0, least=0)
    for value in (0, -1, 2.5, 2.0, '2', None, True, np.float64(2)):
        with pytest.raises(
            ValueError, match="'k' must be an integer of 1 or above, got"
        ):
            check_count('k', value)
