from __future__ import annotations

import pytest
from torch import nn

from pyg_irllrec.utils.evaluating import evaluating


def test_each_part_gets_its_mode_back_even_after_an_error():
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout()))
    module[1].training = False
    with pytest.raises(RuntimeError, match='inside'), evaluating(module):
        assert not any(part.training for part in module.modules())
        raise RuntimeError('inside')
    assert module.training and module[0].training
    assert not module[1].training and module[1][0].training
