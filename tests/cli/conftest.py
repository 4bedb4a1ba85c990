from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.bundles import plain_bundle


@pytest.fixture(scope='session')
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    r"""The folder of a run with a bundle of the default model."""
    folder = tmp_path_factory.mktemp('run')
    plain_bundle().save(folder / 'bundle')
    return folder
