from __future__ import annotations

import pytest
import torch

from pyg_irllrec.training._check_fit import check_devices, rank_of_process


@pytest.mark.parametrize(
    ('devices', 'device', 'message'),
    [
        (2, 'cuda:1', "'device' must be .* with 2 'devices', got 'cuda:1': .*VISIBLE"),
        (2, 'cuda', r"'devices' must be at most \d, the number of CUDA devices"),
    ],
)
def test_wrong_devices(monkeypatch, devices, device, message):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(ValueError, match=message):
        check_devices(devices, 'ddp', torch.device(device))
    check_devices(devices, 'ddp', torch.device('cpu'))


def test_torchrun_starts_a_process_per_device(monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', '1')
    monkeypatch.setenv('WORLD_SIZE', '3')
    with pytest.raises(ValueError, match=r"'devices' must be 3, .* got 2"):
        check_devices(2, 'ddp', torch.device('cpu'))
    check_devices(3, 'ddp', torch.device('cpu'))


def test_rank_of_process(monkeypatch):
    for name in ('RANK', 'LOCAL_RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    assert rank_of_process(2) == 0
    monkeypatch.setenv('LOCAL_RANK', '1')
    assert rank_of_process(2) == 1
    monkeypatch.setenv('RANK', '5')
    assert rank_of_process(2) == 5
    assert rank_of_process(1) == 0  # A single process has rank 0.
