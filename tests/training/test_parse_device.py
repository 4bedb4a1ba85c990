from __future__ import annotations

import pytest
import torch

from pyg_irllrec.training import parse_device


def test_parse_device():
    assert parse_device('cpu').type == 'cpu'
    expected = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert parse_device('auto').type == expected
    assert parse_device(torch.device('cpu')) == torch.device('cpu')
    for device in (torch.device('mps'), 3, None):
        with pytest.raises(ValueError, match="'device' must be 'auto'"):
            parse_device(device)
