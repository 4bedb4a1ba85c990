from __future__ import annotations

import pytest

from pyg_irllrec.cli.trained_run import (
    copy_intents,
    hash_intents,
    open_trained_run,
    own_run_paths,
)
from pyg_irllrec.text.intents.intent_file import load_intents, save_intents


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
