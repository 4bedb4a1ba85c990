from __future__ import annotations

import pytest
import torch

from tests.cli.calls import call


def test_threads_are_those_of_torch(monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, 'set_num_threads', set_to.append)
    call('info', 'nowhere')
    assert set_to == []
    call('recommend', 'nowhere', '--user', 'a', '--threads', 3)
    assert set_to == [3]


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
def test_a_variable_that_is_not_set_is_no_folder(words, capsys):
    assert call(*words, '--out', '') == 2
    assert "--out': name a file or a folder" in capsys.readouterr().err
