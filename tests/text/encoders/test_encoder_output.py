from __future__ import annotations

import numpy as np
import pytest

from pyg_irllrec.text.encoders._encoder_output import as_vectors


def test_vectors_are_finite():
    assert as_vectors("'encoder'", [[1, 2]], 1).dtype == np.float32
    match = r'finite numbers, got NaN or infinity in 1 of 2 rows \(first: row 1\)'
    for bad in (float('nan'), 1e300):
        with pytest.raises(ValueError, match=match):
            as_vectors("'encoder'", [[1.0], [bad]], 2)
