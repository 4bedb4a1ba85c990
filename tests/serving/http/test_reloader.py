"""A new bundle replaces the served one without an interruption."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('fastapi')
pytest.importorskip('httpx')
pytest.importorskip('safetensors')
pytest.importorskip('pyarrow')

from fastapi.testclient import TestClient

from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving.http import create_app
from pyg_irllrec.serving.http._bundle_folder import BundleFolder
from pyg_irllrec.serving.http._metrics import Metrics
from pyg_irllrec.serving.http._reloader import Reloader
from pyg_irllrec.serving.http.service import Service
from tests.serving.bundles import bare_bundle, plain_bundle, small_data, small_model


def other_bundle() -> Bundle:
    r"""The same ids with other titles."""
    data, _ = small_data()
    data['item'].title = [f'New {title}' for title in data['item'].title]
    return Bundle(small_model(data), data)


def wait_for(client: TestClient, **values: Any) -> dict[str, Any]:
    for _ in range(500):
        health = client.get('/health').json()
        if all(health[name] == value for name, value in values.items()):
            return health
        time.sleep(0.02)
    pytest.fail(f'{values} did not come: {health}')


def service(folder: Path) -> TestClient:
    app = create_app(folder, reload_seconds=0.02)
    return TestClient(app, 'http://localhost')


def test_a_new_bundle_loses_no_request(tmp_path):
    plain_bundle().save(tmp_path)
    answers: list[tuple[int, str, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = client.post('/recommend', json={'users': ['user-003'], 'k': 1})
            found = answer.json()
            title = found['recommendations'][0]['items'][0]['title']
            answers.append((answer.status_code, found['version'], title[:3]))

    with service(tmp_path) as client:
        first = client.get('/health').json()['version']
        asks = [threading.Thread(target=ask) for _ in range(4)]
        for each in asks:
            each.start()
        other_bundle().save(tmp_path)
        second = wait_for(client, reloads=1)['version']
        time.sleep(0.1)
        stop.set()
        for each in asks:
            each.join()
        metrics = client.get('/metrics').text
    # No response mixes old and new, and all succeeded.
    assert set(answers) == {(200, first, 'The'), (200, second, 'New')}
    assert 'reloads_total{result="loaded"} 1.0' in metrics
    assert f'version="{second}"' in metrics and f'version="{first}"' not in metrics


def test_a_damaged_bundle_does_not_replace_the_old_one(tmp_path, caplog):
    plain_bundle().save(tmp_path)
    good = (tmp_path / 'bundle.json').read_bytes()
    with service(tmp_path) as client:
        version = client.get('/health').json()['version']
        (tmp_path / 'bundle.json').write_bytes(good[:-10])
        for _ in range(500):
            if error := client.get('/health').json()['reload_error']:
                break
            time.sleep(0.02)
        assert 'not a complete bundle' in error
        assert 'the old one is still served' in caplog.text
        answer = client.post('/recommend', json={'users': ['user-003']})
        assert answer.status_code == 200 and answer.json()['version'] == version
        (tmp_path / 'bundle.json').write_bytes(good)
        wait_for(client, reloads=1, version=version, reload_error=None)
        # The folder may disappear for a while.
        shutil.move(tmp_path, tmp_path.with_name('away'))
        for _ in range(500):
            if found := client.get('/health').json()['reload_error']:
                break
            time.sleep(0.02)
        assert found.startswith('FileNotFoundError: the folder')
        assert client.post('/recommend', json={'users': ['user-003']}).is_success
        shutil.move(tmp_path.with_name('away'), tmp_path)
        wait_for(client, reloads=2, version=version, reload_error=None)
    assert 'result="refused"' in client.get('/metrics').text


def test_a_bundle_without_texts(tmp_path):
    bare_bundle().save(tmp_path)
    with service(tmp_path) as client:
        steered = client.post('/steer', json={'user': 3, 'k': 2}).json()
        assert len(steered['items']) == 2 and steered['intents'] == []
        item = steered['items'][0]['item']
        explained = client.post('/explain', json={'user': 3, 'items': [item]})
        assert explained.status_code == 200


def test_no_bundle(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no bundle'):
        create_app(tmp_path)
    with pytest.raises(ValueError, match='bundle'):
        create_app(None)


def test_the_old_bundle_is_freed_from_a_frozen_heap(tmp_path):
    plain_bundle().save(tmp_path)
    folder = BundleFolder(tmp_path, 'cpu')
    service = Service(*folder.load(), 'exact')
    model = service._served.bundle.model
    model.loop = [model]  # Only the cycle collector frees it.
    old = weakref.ref(model)
    del model
    gc.freeze()
    try:
        other_bundle().save(tmp_path)
        Reloader(folder, service, Metrics(), 1.0).reload()
        assert service.reload_error is None and gc.get_freeze_count() > 0
        assert old() is None
    finally:
        gc.unfreeze()
