from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import TCPStore

from pyg_irllrec.cli.torchrun import check_torchrun, start_others, wait_for_first


@pytest.fixture
def store(monkeypatch):
    """The store of a torchrun that started two processes."""
    store = TCPStore('127.0.0.1', 0, is_master=True)
    for name, value in {
        **{'TORCHELASTIC_RUN_ID': '1', 'TORCHELASTIC_USE_AGENT_STORE': 'True'},
        **{'RANK': '0', 'WORLD_SIZE': '2'},
        **{'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(store.port)},
    }.items():
        monkeypatch.setenv(name, value)
    return store


def test_torchrun_must_start_one_process_per_device(store, monkeypatch):
    check_torchrun(2)
    with pytest.raises(ValueError, match=r'--devices must be 2, .* got 1'):
        check_torchrun(1)
    monkeypatch.delenv('TORCHELASTIC_RUN_ID')
    check_torchrun(1)
    wait_for_first()  # Returns at once without torchrun.


def test_others_wait_for_the_first_process(store):
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(wait_for_first)
        assert not other.done()
        start_others()
        other.result(timeout=60)
