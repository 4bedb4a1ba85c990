from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from pyg_irllrec.serving import Bundle
from tests.serving.bundles import bare_bundle, plain_bundle

hub = pytest.importorskip('huggingface_hub')


def same(one: Bundle, other: Bundle) -> bool:
    users = torch.arange(len(one.users))
    return torch.equal(one.ranker.score(users), other.ranker.score(users))


def test_a_folder_with_a_model_card(tmp_path, monkeypatch):
    (tmp_path / 'books').mkdir()
    monkeypatch.chdir(tmp_path / 'books')
    plain_bundle().save_pretrained('.')
    card = (tmp_path / 'books/README.md').read_text()
    head, body = card.split('---\n', 2)[1:]
    assert 'library_name: pyg_irllrec' in head and '- recommendation' in head
    assert body.startswith('\n# books\n')
    for part in (
        "Bundle.from_pretrained('books')",
        "bundle.recommend(['user-000'], k=10)",
        '60 users, 40 items',
        '| test metric | value |\n|---|---|\n| recall@20 | 0.2500 |\n',
        '| blend | graph 0.6, EASE 0.4 |',
        'TfidfEncoder',
    ):
        assert part in body, part
    assert same(Bundle.from_pretrained(tmp_path / 'books'), plain_bundle())


def test_an_existing_card_is_kept(tmp_path):
    (tmp_path / 'README.md').write_text('mine')
    bare_bundle().save_pretrained(tmp_path)
    assert (tmp_path / 'README.md').read_text() == 'mine'


class Api:
    r"""A Hub API that uploads into a folder."""

    calls: ClassVar[list[dict[str, object]]] = []
    folder = Path()

    def __init__(self, token=None):
        self.token = token

    def create_repo(self, repo_id, private, exist_ok):
        self.calls.append({'private': private, 'token': self.token})
        return hub.RepoUrl(f'https://huggingface.co/{repo_id}')

    def upload_folder(self, *, repo_id, folder_path, **options):
        self.calls.append({'repo_id': repo_id, **options})
        Path(folder_path).rename(self.folder)
        return 'https://huggingface.co/anna/books/commit/1'


def test_pushes_and_pulls(tmp_path, monkeypatch):
    monkeypatch.setattr('huggingface_hub.hub_mixin.HfApi', Api)
    monkeypatch.setattr(Api, 'calls', [])
    monkeypatch.setattr(Api, 'folder', tmp_path / 'hub')
    url = plain_bundle().push_to_hub('anna/books', branch='dev', token='hf_x')
    assert url.endswith('/commit/1')
    created, uploaded = Api.calls
    assert created == {'private': True, 'token': 'hf_x'}
    assert uploaded['repo_id'] == 'anna/books' and uploaded['revision'] == 'dev'
    assert '*.parquet' in uploaded['delete_patterns']
    assert "from_pretrained('anna/books')" in (tmp_path / 'hub/README.md').read_text()

    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(tmp_path / 'hub')

    monkeypatch.setattr('huggingface_hub.snapshot_download', download)
    found = Bundle.from_pretrained('anna/books', revision='dev', device='cpu')
    assert same(found, plain_bundle())
    assert asked['name'] == 'anna/books' and asked['revision'] == 'dev'


def test_failed_downloads(tmp_path):
    with pytest.raises(ValueError, match="'name_or_path' must be a folder or a read"):
        Bundle.from_pretrained('anna/books', cache_dir=tmp_path, local_files_only=True)
    with pytest.raises(ValueError, match="'name_or_path' must be a folder or a read"):
        Bundle.from_pretrained('no / name')


def test_without_the_library(tmp_path, monkeypatch):
    from pyg_irllrec.serving import _hub

    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    _hub._hub_class.cache_clear()
    for call in (
        lambda: bare_bundle().save_pretrained(tmp_path / 'x'),
        lambda: bare_bundle().push_to_hub('anna/books'),
        lambda: Bundle.from_pretrained('anna/books'),
    ):
        with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[hub\]'"):
            call()
    assert not (tmp_path / 'x').exists()


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda b, path: b.push_to_hub(3), "'repo_id' must be a name"),
        (lambda b, path: b.push_to_hub('a/b', private='no'), "'private' must be True"),
        (lambda b, path: b.save_pretrained(3), "'path' must be a path"),
        (lambda b, path: b.from_pretrained(3), "'name_or_path' must be a path"),
        (
            lambda b, path: b.from_pretrained(path, device='x'),
            "'device' must be available",
        ),
        (
            lambda b, path: b.from_pretrained(path, local_files_only=3),
            "'local_files_only' must be True or False",
        ),
    ],
)
def test_wrong_arguments(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(bare_bundle(), tmp_path)
