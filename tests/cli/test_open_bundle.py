from __future__ import annotations

import pytest

from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.serving.load import bundle_folder
from tests.serving.bundles import plain_bundle


def test_a_bundle_or_the_run_that_it_lies_in(saved):
    assert bundle_folder(saved) == bundle_folder(saved / 'bundle') == saved / 'bundle'
    for path in (saved, saved / 'bundle'):
        found = open_bundle(path, 'auto')
        assert found.users.ids == plain_bundle().users.ids
        assert found.model.device.type == 'cpu'


def test_what_holds_none(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no bundle'):
        open_bundle(tmp_path)
