from __future__ import annotations

import torch

from tests.cli.calls import call


def test_threads_are_those_of_torch(monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, 'set_num_threads', set_to.append)
    call('info', 'nowhere')
    assert set_to == []
    call('recommend', 'nowhere', '--user', 'a', '--threads', 3)
    assert set_to == [3]
