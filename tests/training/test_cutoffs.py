from __future__ import annotations

import pytest

from pyg_irllrec.training.cutoffs import fitting_cutoffs


def test_a_small_catalogue_has_fewer_cutoffs():
    assert fitting_cutoffs(100) == fitting_cutoffs(20) == (5, 10, 20)
    assert fitting_cutoffs(19) == (5, 10)
    assert fitting_cutoffs(3) == (3,)
    assert fitting_cutoffs(3, ks=(1, 2)) == (1, 2)
    with pytest.raises(ValueError, match="'num_items' must be an integer of 1"):
        fitting_cutoffs(0)
