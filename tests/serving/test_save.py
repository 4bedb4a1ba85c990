from __future__ import annotations

import errno
import json
import os

import pytest
import torch

from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.utils.files import WriteError
from pyg_irllrec.utils.folder_lock import FolderLock
from tests.serving.bundles import (
    bare_bundle,
    full_bundle,
    plain_bundle,
    small_data,
    small_model,
)


def scores(bundle: Bundle) -> torch.Tensor:
    return bundle.ranker.score(torch.arange(len(bundle.users)))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_is_files_named_by_their_content(tmp_path):
    plain_bundle().save(tmp_path / 'one')
    plain_bundle().save(str(tmp_path / 'two'))
    kinds = [name.partition('-')[0] for name in names(tmp_path / 'one')]
    assert kinds == ['bundle.json', 'data', 'encoder', 'items', 'model', 'users']
    assert names(tmp_path / 'one') == names(tmp_path / 'two')
    text = (tmp_path / 'one/bundle.json').read_text()
    assert json.loads(text)['model']['class'] == 'IRLLRec'


def test_a_save_replaces_the_bundle_and_keeps_other_files(tmp_path):
    plain_bundle().save(tmp_path)
    for name in (
        'README.md',
        'model-notes.parquet',
        '.model.0123abcd.part',
        '.bundle.json.0123abcd.tmp',
    ):
        (tmp_path / name).write_text('')
    full_bundle().save(tmp_path)
    assert {'README.md', 'model-notes.parquet'} < set(names(tmp_path))
    assert len(names(tmp_path)) == 6 + 2
    assert torch.equal(scores(load(tmp_path)), scores(full_bundle()))


def test_a_full_disk_leaves_the_old_bundle(tmp_path, monkeypatch):
    plain_bundle().save(tmp_path)
    before = names(tmp_path)
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(source, target)

    monkeypatch.setattr(os, 'replace', replace)
    with pytest.raises(WriteError, match='No space left'):
        full_bundle().save(tmp_path)
    monkeypatch.undo()
    assert names(tmp_path) == before
    assert torch.equal(scores(load(tmp_path)), scores(plain_bundle()))


def test_one_saver_at_a_time(tmp_path):
    with FolderLock(tmp_path), pytest.raises(OSError, match='is in use by another'):
        bare_bundle().save(tmp_path)
    bare_bundle().save(tmp_path)


def test_a_file_is_not_replaced(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match="'path' must be a folder, got the file"):
        bare_bundle().save(tmp_path / 'file')
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_model_trained_further_needs_a_new_bundle(tmp_path):
    data, _ = small_data(names=False)
    bundle = Bundle(small_model(data, alignment='none'), data)
    with torch.no_grad():
        bundle.model.backbone.user_embedding.weight.mul_(-1)
    with pytest.raises(ValueError, match=r'a new bundle with Bundle\(model, data\)'):
        bundle.save(tmp_path / 'bundle')
    with pytest.raises(ValueError, match=r'a new bundle with Bundle\(model, data\)'):
        bundle.update([(0, 'new')])
    assert not (tmp_path / 'bundle').exists()
    Bundle(bundle.model, data).save(tmp_path / 'bundle')


def test_a_metric_may_be_nan(tmp_path):
    data, _ = small_data(names=False)
    model = small_model(data, alignment='none')
    Bundle(model, data, metrics={'recall@20': float('nan')}).save(tmp_path)
    (value,) = load(tmp_path).metrics.values()
    assert value != value


def test_hooks_are_found(tmp_path):
    data, _ = small_data(names=False)
    model = small_model(data, alignment='none')
    model.backbone.register_forward_hook(
        lambda module, given, out: out._replace(embedding=-out.embedding.sigmoid())
    )
    with pytest.raises(ValueError, match='scores of the model differ'):
        Bundle(model, data).save(tmp_path / 'bundle')


def test_an_invalid_text_is_rejected_before_a_folder_is_made(tmp_path):
    data, _ = small_data(names=False)
    data['item'].text = ['\ud800'] * 40
    bundle = Bundle(small_model(data, alignment='none'), data)
    with pytest.raises(ValueError, match="'data' must have a text for each item in"):
        bundle.save(tmp_path / 'bundle')
    assert not (tmp_path / 'bundle').exists()
