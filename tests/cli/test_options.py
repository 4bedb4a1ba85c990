from __future__ import annotations

import pytest
import torch

from tests.cli.calls import call


def test_threads_sets_the_threads_of_torch(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, 'set_num_threads', calls.append)
    call('info', 'nowhere')
    assert calls == []
    call('recommend', 'nowhere', '--user', 'a', '--threads', 3)
    assert calls == [3]


@pytest.mark.parametrize(
    'words',
    [
        ['prepare', '--interactions', 'a.csv'],
        ['train', 'data'],
        ['tune', 'data'],
        ['recommend', 'bundle'],
        ['update', 'bundle', '--items', 'a.csv'],
    ],
)
def test_an_empty_path_is_rejected(words, capsys):
    assert call(*words, '--out', '') == 2
    assert "--out': must be the path of a file or folder" in capsys.readouterr().err
