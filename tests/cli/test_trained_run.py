from __future__ import annotations

from pathlib import Path

import pytest

from pyg_irllrec.cli.trained_run import (
    copy_extracted,
    hash_extracted,
    keep_data,
    move_own_run,
    open_trained_run,
    own_run_paths,
)
from pyg_irllrec.text.intents.intent_file import (
    load_intents,
    manifest_path,
    save_intents,
)
from pyg_irllrec.training import RunFolder


def test_intents_are_copied_with_their_manifest(tmp_path):
    path = tmp_path / 'intents.jsonl'
    save_intents(path, [], {'model': 'none'})
    target = own_run_paths(tmp_path / 'run').intents
    copy_extracted(path, target)
    assert load_intents(target) == load_intents(path)
    assert hash_extracted(target) == hash_extracted(path)
    copy_extracted(target, target)  # Of a run that is resumed with its own.
    assert load_intents(target) == load_intents(path)
    assert hash_extracted(None) is None
    with pytest.raises(FileNotFoundError, match='must lie beside'):
        hash_extracted(tmp_path / 'x.jsonl')
    with pytest.raises(ValueError, match=r'must end in \.jsonl'):
        hash_extracted(Path('.'))


def test_a_folder_without_a_run(tmp_path):
    # Runs are opened in tests/examples, where they are trained.
    with pytest.raises(FileNotFoundError, match='must be a folder of'):
        open_trained_run(tmp_path, {})


@pytest.mark.parametrize('place', ['.', 'model'])
def test_a_run_that_these_commands_did_not_begin(tmp_path, place):
    RunFolder(tmp_path / place).open({'seed': 0, 'backbone': 'sgl'})
    with pytest.raises(ValueError, match=r'config\.json must be one of own_data'):
        open_trained_run(tmp_path, {})


@pytest.mark.parametrize(
    'text', ['{', '[]', 'null', '{}', '{"intents_sha256": 3}', '"x"', '[' * 10**5]
)
def test_a_damaged_manifest(tmp_path, text):
    path = tmp_path / 'intents.jsonl'
    save_intents(path, [], {'model': 'none'})
    manifest_path(path).write_text(text)
    with pytest.raises(ValueError, match='is damaged: '):
        hash_extracted(path)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_run_is_moved_with_all_that_it_has(tmp_path):
    folder = tmp_path / 'run'
    files = (
        *('data/processed/x', 'intents.jsonl', 'intents.manifest.json'),
        *('profiles.jsonl', 'profiles.manifest.json'),
    )
    for name in (*files, 'metrics.json', 'recommendations.csv', 'model.1/best.ckpt'):
        write(folder / name, name)
    write(folder / 'data' / 'ratings.csv', 'mine')  # No run wrote it.
    assert move_own_run(folder, folder / 'model.1') == tmp_path / 'run.1'
    moved = {
        str(path.relative_to(tmp_path / 'run.1')): path.read_text()
        for path in (tmp_path / 'run.1').rglob('*')
        if path.is_file()
    }
    assert moved.keys() == {
        *files,
        *('metrics.json', 'recommendations.csv', 'model/best.ckpt'),
    }
    assert [path.name for path in folder.rglob('*') if path.is_file()] == [
        'ratings.csv'
    ]
    # A move that was killed is gone on with, to another place.
    write(folder / 'data/processed/x', 'left')
    assert move_own_run(folder, None) == tmp_path / 'run.2'
    assert (tmp_path / 'run.1/data/processed/x').read_text() == 'data/processed/x'


def test_data_and_intents_are_kept(tmp_path):
    folder, staged = tmp_path / 'run', tmp_path / 'run' / '.new'
    for name in ('data/processed/x', 'intents.jsonl', 'intents.manifest.json'):
        write(staged / name, 'new')
        write(folder / name, 'old')
    write(folder / 'data/processed/y', 'old')
    keep_data(folder, staged)
    assert not (folder / 'data/processed/y').exists()
    assert (folder / 'data/processed/x').read_text() == 'new'
    assert (folder / 'intents.manifest.json').read_text() == 'new'
    keep_data(folder, staged)  # There is nothing more.
    assert (folder / 'intents.jsonl').read_text() == 'new'
