from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils.warn_caller import warn_caller


def test_the_line_of_the_caller():
    inner = torch.no_grad()(warn_caller)  # Adds a frame of a library.
    with pytest.warns(UserWarning, match='odd') as seen:
        warn_caller('odd')
        inner('odd')
    assert [each.filename for each in seen] == [__file__] * 2
