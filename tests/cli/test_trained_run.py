from __future__ import annotations

import pytest

from pyg_irllrec.cli.trained_run import (
    copy_intents,
    hash_intents,
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
    copy_intents(path, target)
    assert load_intents(target) == load_intents(path)
    assert hash_intents(target) == hash_intents(path)
    copy_intents(target, target)  # Of a run that is resumed with its own.
    assert load_intents(target) == load_intents(path)
    assert hash_intents(None) is None
    with pytest.raises(FileNotFoundError, match='must lie beside'):
        hash_intents(tmp_path / 'x.jsonl')


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
        hash_intents(path)
