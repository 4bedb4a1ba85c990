from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils.as_device import as_device


def test_a_name_or_a_device():
    assert as_device('cpu') == as_device(torch.device('cpu')) == torch.device('cpu')


@pytest.mark.parametrize('device', ['tpu', 'cuda:99', 'meta', 3.5, [], ''])
def test_unavailable_devices(device):
    with pytest.raises(ValueError, match=r"^'device' must be a"):
        as_device(device)
