from __future__ import annotations

import pytest

from pyg_irllrec.cli.open_bundle import open_bundle


def test_a_bundle_and_the_run_that_it_lies_in(saved):
    one, other = open_bundle(saved), open_bundle(saved / 'bundle', 'auto')
    assert list(one.users) == list(other.users)
    assert str(other.model.device) == 'cpu'


def test_a_folder_without_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no bundle'):
        open_bundle(tmp_path)
