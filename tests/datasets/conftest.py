from __future__ import annotations

import urllib.error

import pytest

from pyg_irllrec.datasets._ingest import raw_files


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fail(url, folder):
        raise urllib.error.URLError('no network')

    monkeypatch.setattr(raw_files, 'download_url', fail)
